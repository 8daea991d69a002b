"""Articles: what they are, how they are read, cut into passages, and kept."""
