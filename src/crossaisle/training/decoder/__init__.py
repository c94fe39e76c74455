"""GPT-like models: likelihood of titles, ranking by it, and weights in GGUF files."""
