"""Loads articles from files; one module per format."""

from bot.ingestion.loaders.base import Skipped, walk_files
from bot.ingestion.loaders.registry import read_articles

__all__ = ["Skipped", "read_articles", "walk_files"]
