"""Steps for categories: spelling, position in the tree, and mapping to another tree."""
