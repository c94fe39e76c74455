"""The service: a saved model behind HTTP, with an embedded store of what happens while people browse."""
