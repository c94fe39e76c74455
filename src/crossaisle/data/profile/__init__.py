"""What a data set is: its figures, what changed in it over time, its fingerprint."""
