"""The items whose vectors are nearest to a query: in memory, or in a database."""
