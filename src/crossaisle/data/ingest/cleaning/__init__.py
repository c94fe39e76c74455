"""`[data.clean]` within an import: what the steps of `data/clean/` change is booked."""
