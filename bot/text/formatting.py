"""Format dates and page numbers for display."""

from __future__ import annotations

from datetime import datetime


def format_date(moment: datetime | None) -> str:
    """Return a date such as "3 March 2026": a month in words is unambiguous in every country."""
    return f"{moment.day} {moment:%B %Y}" if moment else "undated"


def format_page(page: int | None) -> str:
    """Return a page number such as "p. 12", or an empty string if there is none."""
    return f"p. {page}" if page else ""
