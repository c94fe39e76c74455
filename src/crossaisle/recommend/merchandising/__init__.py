"""A merchandiser's rules at work: compiled for a catalogue, and applied to a list."""
