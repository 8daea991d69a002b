"""Reads articles from files and folders, one at a time; a module for each kind of file."""

from bot.ingestion.loaders.base import Skipped, files_below
from bot.ingestion.loaders.registry import read_articles

__all__ = ["Skipped", "files_below", "read_articles"]
