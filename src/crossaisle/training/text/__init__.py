"""Text encoders that learn a shop: LoRA, full fine-tuning and continued pre-training."""
