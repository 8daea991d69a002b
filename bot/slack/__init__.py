"""Citewire in Slack: who is answered where, how an answer looks, and that each question gets one."""
