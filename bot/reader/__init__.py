"""The reader model: finds the span of a passage that answers a question, with a score."""
