"""What comes in: bodies and parameters, read strictly and checked once."""
