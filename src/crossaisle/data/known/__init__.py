"""Known data sets that take more than a few lines to become tables."""
