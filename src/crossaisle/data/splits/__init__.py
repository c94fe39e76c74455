"""Splits into the data a model may learn from, and the cases it is evaluated on."""
