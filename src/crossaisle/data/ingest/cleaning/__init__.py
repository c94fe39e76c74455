"""`[data.clean]` during an import: runs the steps of `data/clean/` and records their changes."""
