"""Labels: which items a user chose and which not, which items complement each other, and human
annotations."""
