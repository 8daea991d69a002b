"""Extracts articles from HTML, Markdown and plain text."""
