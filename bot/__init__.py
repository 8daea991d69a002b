"""Citewire answers questions from news articles; every sentence cites the passage it stands on."""

__version__ = "0.1.0"
