"""What cleaning does to a shop: run, review file, report."""
