"""Embeddings, vector stores, the BM25 index and story clusters."""
