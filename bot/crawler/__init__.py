"""Fetches articles from web pages and feeds, politely and only from permitted addresses."""
