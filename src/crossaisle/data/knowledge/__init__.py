"""What a merchandiser knows of what goes together: a file of rules, and which items they are about."""
