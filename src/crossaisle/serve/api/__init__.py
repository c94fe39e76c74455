"""HTTP: the application, what every request passes, what comes in and what goes out."""
