"""How workers and hosts follow each other: what is logged for them, and how they read it."""
