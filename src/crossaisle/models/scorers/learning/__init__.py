"""What scorers learn with: closed forms and small networks, without data sets and ids."""
