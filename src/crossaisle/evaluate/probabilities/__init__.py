"""How good probabilities are: their log-loss, and whether a tenth is right of what was given a tenth."""
