"""Text normalization shared by the metrics and the verifier: tokens, numbers, names and shingles."""
