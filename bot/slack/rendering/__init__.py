"""Renders answers and messages as Slack blocks."""
