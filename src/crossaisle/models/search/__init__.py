"""The items whose vectors are nearest to a question: in memory, or in a database."""
