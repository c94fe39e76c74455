"""A merchandiser's rules for lists: the file format, and the items that rules match."""
