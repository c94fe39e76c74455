"""A catalogue that changes while it is served: what is put in, and what a new item resembles."""
