"""Item texts: removal of markup, and parsing of category cells into paths."""
