"""Documents and examples: loading, checks, and the cutting of documents into passages."""
