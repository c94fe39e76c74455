"""What a model holds, for other systems: lists of many users, and the catalogue."""
