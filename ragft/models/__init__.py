"""Model weights and tokenizers: where they come from and how they are loaded."""
