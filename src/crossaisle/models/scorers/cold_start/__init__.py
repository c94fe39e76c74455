"""Scorers for items, categories and shops without events, which learn from events elsewhere."""
