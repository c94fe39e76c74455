"""How explanations call items, and what they say that items share."""
