"""What recommendations led to: lists shown, clicked, put in the cart and bought after, by day."""
