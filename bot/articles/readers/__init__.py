"""Reads articles from files and folders, one at a time; a module for each kind of file."""

from bot.articles.readers.files import Skipped, files_below
from bot.articles.readers.kinds import read_articles

__all__ = ["Skipped", "files_below", "read_articles"]
