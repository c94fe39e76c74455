"""Cleaning of a catalogue before use: texts, categories, duplicates, users; each step reports what it did."""
