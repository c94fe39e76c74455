"""Reshapes rows before they are checked: fill down, explode, join, filter. Each step returns a `Source`."""
