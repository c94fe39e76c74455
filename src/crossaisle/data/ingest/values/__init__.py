"""Cells of text -> moments, numbers, stock."""
