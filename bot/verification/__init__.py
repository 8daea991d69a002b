"""Checks whether cited text supports a sentence."""
