"""What every request passes before a route answers it: one ASGI middleware per concern."""
