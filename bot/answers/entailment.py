"""Entailment."""

from __future__ import annotations


class Entailment:
    """To come."""
