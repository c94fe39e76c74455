"""Processes and sockets: the start, the workers and their supervisor, HTTP/1.1, the end."""
