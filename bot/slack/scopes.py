"""OAuth scopes of the Slack app, the reason for each, and its event subscriptions.

`deploy/slack-manifest.yaml` requests exactly these, and `citewire doctor --slack` compares the token with them.
"""

from __future__ import annotations

from dataclasses import dataclass

COMMAND = "/cite"
SHORTCUT = "check_message"
SHORTCUT_NAME = "Check against articles"  # Slack allows 24 characters
APP_SCOPE = "connections:write"  # scope of the app-level token, for Socket Mode
# No scope is needed for the event that the Home tab or the assistant pane is opened, or for calls about our own views.
UNSCOPED_EVENTS = ("app_home_opened",)
UNSCOPED_METHODS = ("auth.test", "views.open", "views.update", "views.publish")


@dataclass(frozen=True, slots=True)
class Scope:
    """Scope of the bot token: the reason, the Web API methods that need it, and the events that it includes."""

    why: str
    methods: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


# Threads are read in all kinds of conversations, and each kind has its own scope.
BOT_SCOPES = {
    "app_mentions:read": Scope("to be asked by name", events=("app_mention",)),
    "assistant:write": Scope(
        "suggested prompts and titles in the agent's pane",
        methods=("assistant.threads.setSuggestedPrompts", "assistant.threads.setTitle"),
    ),
    "channels:history": Scope(
        "what a thread in a public channel is about, and what follows, is edited or deleted in it",
        methods=("conversations.replies",),
        events=("message.channels",),
    ),
    "channels:read": Scope(
        "is a public channel shared with another company, and is the bot in it",
        methods=("conversations.info", "users.conversations"),
    ),
    "chat:write": Scope(
        "answers, streamed or updated, private notices, and the status while working",
        methods=(
            "chat.postMessage",
            "chat.update",
            "chat.delete",
            "chat.postEphemeral",
            "chat.startStream",
            "chat.appendStream",
            "chat.stopStream",
            "assistant.threads.setStatus",
        ),
    ),
    "commands": Scope(f"{COMMAND}, and the shortcut “{SHORTCUT_NAME}”"),
    "groups:history": Scope(
        "the same threads in a private channel",
        methods=("conversations.replies",),
        events=("message.groups",),
    ),
    "groups:read": Scope(
        "the same of a private channel",
        methods=("conversations.info", "users.conversations"),
    ),
    "im:history": Scope(
        "direct messages to the bot, the agent's pane included",
        methods=("conversations.replies",),
        events=("message.im",),
    ),
    "mpim:history": Scope(
        "the same threads in a direct message of several people",
        methods=("conversations.replies",),
        events=("message.mpim",),
    ),
}


BOT_EVENTS = tuple(
    sorted({*UNSCOPED_EVENTS, *(event for scope in BOT_SCOPES.values() for event in scope.events)})
)
