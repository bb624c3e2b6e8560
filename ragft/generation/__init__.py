"""Answers to prompts: the protocol of what answers, its journal, and the model in this process."""
