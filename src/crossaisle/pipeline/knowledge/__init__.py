"""Knowledge files: drafted from behaviour, asked of a language model, checked against a shop."""
