"""HTTP service: questions, evidence pages, Slack events, health and metrics."""
