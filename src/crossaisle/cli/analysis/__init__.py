"""Commands that look at a shop: labels, features, drift, one customer."""
