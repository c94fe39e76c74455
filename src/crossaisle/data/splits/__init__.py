"""What a model may learn from, and the cases it is asked about afterwards."""
