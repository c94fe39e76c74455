"""The model while it serves: it follows events, prices, stock, pictures and new items."""
