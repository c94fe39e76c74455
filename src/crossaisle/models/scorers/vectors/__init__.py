"""Models whose score is the product of a vector of the history and a vector of the item."""
