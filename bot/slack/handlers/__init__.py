"""Handlers of queued Slack jobs."""
