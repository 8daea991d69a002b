"""Questions of many people at once, the replicas that answer them, and what became of each question."""
