"""Known data sets whose conversion to tables takes more than a few lines."""
