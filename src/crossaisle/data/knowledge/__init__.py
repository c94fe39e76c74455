"""A merchandiser's knowledge of what goes together: a file of rules, and the items they refer to."""
