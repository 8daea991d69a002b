"""Evaluation of the answering pipeline on a test set: metrics, comparisons, gates and reports."""
