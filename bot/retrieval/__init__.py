"""Retrieval: vectors and words made from passages, and found again for a question."""
