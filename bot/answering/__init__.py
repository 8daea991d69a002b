"""Question answering: sentences with citations, or the result that the articles do not say."""
