"""What a data scientist takes out of a shop: tables of labels and features, and what drifted since a fit."""
