"""How good probabilities are: their log-loss and their reliability."""
