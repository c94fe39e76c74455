"""Steps for categories: their spelling, the tree they stand in, what they mean in another tree."""
