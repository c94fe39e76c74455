"""Events packed into arrays, so that a start reads millions of them in a second."""
