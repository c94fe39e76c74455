"""Fine-tuning of language models on a shop. Only this package may import torch; serving never needs it."""
