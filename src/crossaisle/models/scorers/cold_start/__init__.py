"""What events elsewhere say of items, categories and shops in which nothing has happened yet."""
