"""Adapts text encoders to a shop: LoRA, full fine-tuning and continued pretraining."""
