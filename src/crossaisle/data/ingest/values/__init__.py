"""Parses the text of cells: times, numbers, stock."""
