"""Training of `SequenceTransformer` and `TwoTower` with torch; the results are served without it."""
