"""Verifiable claims of a sentence (numbers, dates, quotations, names and negations) that its source lacks."""
