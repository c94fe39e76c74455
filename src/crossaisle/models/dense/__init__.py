"""Scores as dense arrays: products exact and in 8 bits, rough scores beside exact ones, and their sums."""
