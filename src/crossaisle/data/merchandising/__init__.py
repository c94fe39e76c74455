"""What a merchandiser decides about lists: a file of rules, and which items they are about."""
