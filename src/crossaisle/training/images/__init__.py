"""Image encoders, and the map from pictures to titles."""
