"""The HTTP service: questions, evidence pages, Slack's events, health and metrics."""
