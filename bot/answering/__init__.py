"""Answers: sentences with the citations they stand on, or that the articles do not say."""
