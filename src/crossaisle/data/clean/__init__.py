"""A catalogue put right before it is used: texts, categories, doubles, users; each step says what it did."""
