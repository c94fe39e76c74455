"""One reader per form of file; all of them give a `Source`."""
