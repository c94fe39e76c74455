"""One file per scorer: a class that is fitted on a data set and gives every item a score for a history."""
