"""Explanations in words: what items are called, what they share, and the sentence."""
