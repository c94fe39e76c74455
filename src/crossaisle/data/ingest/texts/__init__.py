"""Texts of items: markup taken out, category cells read as paths."""
