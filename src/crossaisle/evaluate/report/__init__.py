"""Evaluations and trainings as one HTML file that people read."""
