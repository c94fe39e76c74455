"""Products of queries with the rows of a matrix: exact, in 8 bits, and kept for each person."""
