"""Pictures and videos: read, turned into vectors, and brought into the space of the titles."""
