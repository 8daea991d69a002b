"""Handlers for queued Slack jobs."""
