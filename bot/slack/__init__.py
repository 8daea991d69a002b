"""Slack bot: access rules, durable job queue, handlers and Block Kit rendering."""
