"""Federated learning: several shops train one model and exchange only updates, never events."""
