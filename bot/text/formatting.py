"""Formats dates and page numbers for people."""

from __future__ import annotations

from datetime import datetime


def format_date(moment: datetime | None) -> str:
    """Return a date with its month as a word, which is read alike in every country."""
    return f"{moment.day} {moment:%B %Y}" if moment else "undated"


def format_page(page: int | None) -> str:
    """Return a page number for readers, or an empty string if there is none."""
    return f"p. {page}" if page else ""
