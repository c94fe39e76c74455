"""Clients of a running service that deliver events from Kafka, Redis or a file, effectively exactly once."""
