"""From data to a served model and an honest report: what the commands call."""
