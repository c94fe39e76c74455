"""Pictures and videos: decoding, encoding as vectors, and alignment with the vectors of titles."""
