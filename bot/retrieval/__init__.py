"""Hybrid retrieval of passages for a question."""
