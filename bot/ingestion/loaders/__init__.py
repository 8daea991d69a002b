"""Reads articles from files and folders, one at a time; a module for each kind of file."""

from bot.ingestion.loaders.base import Skipped, walk_files
from bot.ingestion.loaders.registry import read_articles

__all__ = ["Skipped", "read_articles", "walk_files"]
