"""Adapters trained on examples: the examples as tokens, and LoRA training."""
