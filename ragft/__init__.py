"""ragft measures whether to fine-tune a language model, give it retrieval, do both, or just prompt it."""

__version__ = "0.1.0"
