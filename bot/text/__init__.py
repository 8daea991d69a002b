"""Text as it is compared: one notion of tokens and numbers for the metrics and for the verifier."""
