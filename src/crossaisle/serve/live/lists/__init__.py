"""Lists of a shop that changes: scores, rankings that are kept, and lists made from them."""
