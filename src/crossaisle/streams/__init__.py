"""Clients of a running service: events out of Kafka, Redis or a file, delivered exactly once in effect."""
