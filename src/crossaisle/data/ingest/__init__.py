"""Reads a shop's files into a `Dataset`, and accounts for every row that was set aside or repaired."""
