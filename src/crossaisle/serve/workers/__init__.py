"""What the workers of one service share, and how one follows what the others wrote."""
