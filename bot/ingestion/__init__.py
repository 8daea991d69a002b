"""Reads articles from files and writes them to the article store and both indexes."""
