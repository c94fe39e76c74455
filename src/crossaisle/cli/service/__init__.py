"""Commands of a running service: start it, give out keys, feed it events, fit it again."""
