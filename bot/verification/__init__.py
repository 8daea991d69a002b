"""Check whether cited text supports a sentence."""
