"""Describes a data set: its statistics and its fingerprint."""
