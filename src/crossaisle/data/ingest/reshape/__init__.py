"""Rows put right before they are checked: filled, unfolded, joined, filtered. Each step gives a `Source`."""
