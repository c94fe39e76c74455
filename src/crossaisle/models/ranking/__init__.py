"""A learned ranker on top of the blend: candidates, features, boosted trees, calibrated probabilities."""
