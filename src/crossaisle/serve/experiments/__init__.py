"""Experiments: who gets which arm, what was shown with which probability, and what it was worth."""
