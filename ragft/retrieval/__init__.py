"""Passages found for queries: the embedder, the store, and the retriever."""
