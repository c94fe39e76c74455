"""The list that answers a query: candidates and scores in, items with reasons out."""
