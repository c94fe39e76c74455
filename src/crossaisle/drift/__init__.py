"""Drift: does what people choose, and what the shop sells, still look like what a model learned from?"""
