"""GPT-like models: likelihood of titles, a head on top, and weights in GGUF files."""
