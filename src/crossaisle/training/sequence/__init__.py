"""Learning a `SequenceTransformer` with torch; what comes out serves without it."""
