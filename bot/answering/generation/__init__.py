"""Answers written by a chat model."""
