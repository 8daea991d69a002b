"""What stands on people's screens besides messages: what only they see, modals, home tabs."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from slack_server.limits import check_view
from slack_server.refusal import refuse
from slack_server.state import APP, BOT, BOT_ID, TEAM, Message, Ticket, Workspace


class Surfaces(Workspace):
    """Ephemeral messages and views; mixed into the server."""

    def show(self, channel: str, user: str, content: dict[str, Any]) -> Message:
        """Show somebody what only they see."""
        blocks = {"blocks": self.with_ids(content["blocks"])} if "blocks" in content else {}
        shown = {"type": "message", "user": BOT, "channel": channel, "only_for": user, "ts": self.next_ts()}
        self.ephemerals.append(shown | content | blocks)
        self.changed.notify_all()
        return self.ephemerals[-1]

    def _original(self, ticket: Ticket) -> Message:
        key = (ticket.ts, ticket.user)
        original = [each for each in self.ephemerals if (each["ts"], each["only_for"]) == key]
        return original[0] if original else self.message(ticket.channel, ticket.ts)

    def replace_original(self, ticket: Ticket, content: dict[str, Any]) -> None:
        """Put something else in the place of the message that was clicked."""
        refuse(not ticket.ts, "no_original", "a command has no message to replace")
        message = self._original(ticket)
        before = dict(message)
        blocks = {"blocks": self.with_ids(content["blocks"])} if "blocks" in content else {}
        message.pop("blocks", None)
        message.update(content | blocks)
        if "only_for" not in message:
            self.edited(self.channels[ticket.channel], message, before)

    def take_back(self, ticket: Ticket) -> None:
        """Remove the message that was clicked."""
        refuse(not ticket.ts, "no_original", "a command has no message to delete")
        message = self._original(ticket)
        if message in self.ephemerals:
            self.ephemerals.remove(message)
        else:
            self.remove(self.channels[ticket.channel], message)

    # ---- views

    def open_view(self, view: dict[str, Any], user: str, *, below: str = "") -> dict[str, Any]:
        """Keep a view as Slack does: with ids, a hash and its place in the stack."""
        view_id = self.next_id("V")
        root = self.views[below]["root_view_id"] if below else view_id
        kept = {"callback_id": "", "private_metadata": "", "external_id": ""} | view | {
            "id": view_id, "team_id": TEAM, "app_id": APP, "bot_id": BOT_ID, "root_view_id": root,
            "previous_view_id": below or None, "state": {"values": {}}, "blocks": self.with_ids(view["blocks"]), "hash": self._hash()}  # fmt: skip
        self.views[view_id], self.owners[view_id] = kept, user
        return kept

    def push_view(self, view: dict[str, Any], user: str, below: str) -> dict[str, Any]:
        """Put a view upon another, three at most."""
        stack = [
            each for each in self.views.values() if each["root_view_id"] == self.views[below]["root_view_id"]
        ]
        refuse(len(stack) >= 3, "push_limit_reached")
        return self.open_view(view, user, below=below)

    def replace_view(self, view_id: str, view: dict[str, Any], expected: str | None) -> dict[str, Any]:
        """Change a view in place, if it still is the one that the app knows."""
        refuse(bool(expected) and expected != self.views[view_id]["hash"], "hash_conflict")
        self.views[view_id] |= view | {"blocks": self.with_ids(view["blocks"]), "hash": self._hash()}
        return self.views[view_id]

    def publish(self, user: str, view: dict[str, Any], expected: str | None) -> dict[str, Any]:
        """Show somebody their home tab."""
        if user in self.homes:
            return self.replace_view(self.homes[user], view, expected)
        published = self.open_view(view, user)
        self.homes[user] = published["id"]
        return published

    def _hash(self) -> str:
        return f"{time.time():.0f}.{hashlib.sha1(self.next_ts().encode()).hexdigest()[:8]}"

    def submitted(self, view_id: str, user: str, answer: dict[str, Any]) -> None:
        """Do to a modal what the app answered to its submission."""
        action = answer.get("response_action")
        if action in {"update", "push"}:
            check_view(answer["view"], kinds=("modal",))
            self.check_safety("view_submission", answer)
        if action == "update":
            self.replace_view(view_id, answer["view"], None)
        elif action == "push":
            self.push_view(answer["view"], user, view_id)
        elif action == "clear":
            root = self.views[view_id]["root_view_id"]
            self.views = {key: view for key, view in self.views.items() if view["root_view_id"] != root}
        elif action != "errors":
            self.views.pop(view_id)
