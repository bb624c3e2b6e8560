"""The composition root: an experiment file becomes documents, indexes, adapters, prompts and answers here."""
