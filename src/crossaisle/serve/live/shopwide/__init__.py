"""What is counted over all users of a shop: what is popular now, and what it has turned against."""
