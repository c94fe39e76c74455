"""Files as shops have them -> a `Dataset`, with an account of every row that was set aside or repaired."""
