"""Drift: do customers' choices and the shop's offer still look like the data a model was trained on?"""
