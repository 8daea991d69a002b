"""Evaluation: the same chain asked a test set, measured, compared and gated."""
