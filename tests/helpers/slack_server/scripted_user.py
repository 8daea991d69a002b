"""What people click, choose and type in the tests' Slack, each payload made of what really stands there."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from slack_server.delivery import COMMANDS, INTERACTIVE, Delivery
from slack_server.people import People
from slack_server.state import APP, TEAM, Message, Ticket

# How the value of an input stands in a view's state, and a choice in an action.
CHOSEN = {"multi": "selected_options", "checkboxes": "selected_options", "plain": "value", "number": "value",
          "email": "value", "url": "value", "datepicker": "selected_date", "timepicker": "selected_time",
          "users": "selected_user", "channels": "selected_channel", "conversations": "selected_conversation"}  # fmt: skip


class Hands(People):
    """Commands, shortcuts, clicks, modals; mixed into the server."""

    @abstractmethod
    def response_url(self, ticket: Ticket) -> str:
        """Make the address by which the app may answer what a person did."""

    def command(
        self, user: str, channel: str, text: str, *, command: str = "/cite", **extra: str
    ) -> Delivery:
        """Type a slash command."""
        with self.changed:
            form = {"token": "verification-token", "team_id": TEAM, "team_domain": "team", "channel_id": channel,
                    "channel_name": self.channels[channel].name or "directmessage", "user_id": user,
                    "user_name": self.people[user]["name"], "command": command, "text": text, "api_app_id": APP,
                    "is_enterprise_install": "false", "trigger_id": self.trigger(user),
                    "response_url": self.response_url(Ticket(user, channel))} | extra  # fmt: skip
            return self.send(COMMANDS, form, self.next_id("command"))

    def shortcut(self, user: str, channel: str, ts: str, *, callback_id: str) -> Delivery:
        """Choose a message shortcut from a message's menu."""
        with self.changed:
            message = self.channels[channel].messages[ts]
            payload = self._interaction("message_action", user, callback_id=callback_id, message_ts=ts,
                                        action_ts=self.next_ts(), message=message, channel=self._named(channel),
                                        response_url=self.response_url(Ticket(user, channel, ts)))  # fmt: skip
            return self.send(INTERACTIVE, payload, self.next_id("shortcut"))

    def click(
        self,
        user: str,
        channel: str,
        ts: str,
        action_id: str,
        value: str | None = None,
        *,
        block_id: str = "",
    ) -> Delivery:
        """Use an element of a message that stands there: `value` says which option or which button."""
        with self.changed:
            message = self._shown(user, channel, ts)
            action = self._action(message.get("blocks", []), action_id, value, block_id)
            ephemeral = "only_for" in message
            container = {
                "type": "message",
                "message_ts": ts,
                "channel_id": channel,
                "is_ephemeral": ephemeral,
            }
            thread = {"thread_ts": message["thread_ts"]} if message.get("thread_ts") else {}
            ticket = Ticket(user, channel, ts, message.get("thread_ts", ""), ephemeral)
            payload = self._interaction("block_actions", user, container=container | thread, actions=[action],
                                        channel=self._named(channel), state={"values": {}},
                                        response_url=self.response_url(ticket))  # fmt: skip
            payload |= {} if ephemeral else {"message": message}
            return self.send(INTERACTIVE, payload, self.next_id("click"))

    def click_in_view(self, user: str, view_id: str, action_id: str, value: str | None = None) -> Delivery:
        """Use an element of a modal or of the home tab."""
        with self.changed:
            view = self.views[view_id]
            action = self._action(view["blocks"], action_id, value)
            container = {"type": "view", "view_id": view_id}
            payload = self._interaction(
                "block_actions", user, upon=view_id, view=view, actions=[action], container=container
            )
            return self.send(INTERACTIVE, payload, self.next_id("click"))

    def options(
        self, user: str, action_id: str, typed: str, *, view_id: str = "", channel: str = "", ts: str = ""
    ) -> Delivery:
        """Type into a select that asks the app for its options."""
        with self.changed:
            holder = self.views[view_id] if view_id else self._shown(user, channel, ts)
            block, element = _element(holder["blocks"], action_id)
            assert element["type"].endswith("external_select"), f"{action_id} has its options"
            asked = {"action_id": action_id, "block_id": block["block_id"], "value": typed}
            payload = self._interaction(
                "block_suggestion", user, **asked, **{"view" if view_id else "message": holder}
            )
            return self.send(INTERACTIVE, payload, self.next_id("options"))

    def submit(self, view_id: str, user: str, values: dict[str, Any] | None = None) -> Delivery:
        """Submit a modal with values by action_id; what the app answers is done to the modal."""
        with self.changed:
            view = self.views[view_id]
            view["state"] = {"values": self._state(view, values or {})}
            payload = self._interaction("view_submission", user, upon=view_id, view=view, response_urls=[])
            return self.send(INTERACTIVE, payload, self.next_id("submit"))

    def close_view(self, view_id: str, user: str) -> Delivery | None:
        """Close a modal without submitting it."""
        with self.changed:
            view = self.views.pop(view_id)
            payload = self._interaction("view_closed", user, is_cleared=False, view=view)
            return (
                self.send(INTERACTIVE, payload, self.next_id("close"))
                if view.get("notify_on_close")
                else None
            )

    def _interaction(self, kind: str, user: str, *, upon: str = "", **more: Any) -> dict[str, Any]:
        person = self.people[user]
        who = {"id": user, "username": person["name"], "name": person["name"], "team_id": person["team_id"]}
        return {"type": kind, "user": who, "team": {"id": TEAM, "domain": "team"}, "api_app_id": APP,
                "token": "verification-token", "enterprise": None, "is_enterprise_install": False,
                "trigger_id": self.trigger(user, view=upon)} | more  # fmt: skip

    def _named(self, channel: str) -> dict[str, str]:
        return {"id": channel, "name": self.channels[channel].name or "directmessage"}

    def _shown(self, user: str, channel: str, ts: str) -> Message:
        key = (user, channel, ts)
        own = [each for each in self.ephemerals if (each["only_for"], each["channel"], each["ts"]) == key]
        return own[0] if own else self.channels[channel].messages[ts]

    def _action(
        self, blocks: list[Any], action_id: str, value: str | None, block_id: str = ""
    ) -> dict[str, Any]:
        within = [block for block in blocks if not block_id or block["block_id"] == block_id]
        block, element = _element(within, action_id)
        head = {"type": element["type"], "action_id": action_id, "block_id": block["block_id"]}
        return head | {"action_ts": self.next_ts()} | _done_with(element, value)

    def _state(self, view: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        state: dict[str, Any] = {}
        for block, element in _elements(view["blocks"]):
            key = CHOSEN.get(element["type"].split("_")[0], "selected_option")
            given = values.pop(element["action_id"], None)
            required = block["type"] == "input" and not block.get("optional")
            assert given is not None or not required, f"{element['action_id']} is required"
            filled = {"type": element["type"], key: _chosen(element, given)}
            state.setdefault(block["block_id"], {})[element["action_id"]] = filled
        assert not values, f"no such inputs: {sorted(values)}"
        return state


def _elements(blocks: list[Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for block in blocks:
        for element in (*block.get("elements", ()), block.get("accessory"), block.get("element")):
            if isinstance(element, dict) and "action_id" in element:
                yield block, element


def _element(blocks: list[Any], action_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    there = {element["action_id"]: (block, element) for block, element in reversed(list(_elements(blocks)))}
    assert action_id in there, f"nothing with the action_id {action_id!r}; there are {sorted(there)}"
    return there[action_id]


def _done_with(element: dict[str, Any], value: str | None) -> dict[str, Any]:
    """Give what an action says of the element that was used."""
    kind = element["type"]
    if kind == "feedback_buttons":
        votes = {vote["value"]: vote for vote in (element["positive_button"], element["negative_button"])}
        assert value in votes, f"no such button: {value!r}; there are {sorted(votes)}"
        return {"value": value, "text": votes[value]["text"]}
    if kind in {"button", "icon_button"}:
        assert value in (None, element.get("value")), f"the button's value is {element.get('value')!r}"
        return {key: element[key] for key in ("text", "value", "style") if key in element}
    key = CHOSEN.get(kind.split("_")[0], "selected_option")
    return {key: _chosen(element, value)}


def _chosen(element: dict[str, Any], value: Any) -> Any:
    """Give the option that a value names; what has no options of its own takes the value as it is."""
    if isinstance(value, list):
        return [_chosen(element, each) for each in value]
    grouped = [option for group in element.get("option_groups", ()) for option in group["options"]]
    options = {option["value"]: option for option in [*element.get("options", ()), *grouped]}
    if value is None or not (options or element["type"].endswith("external_select")):
        return value
    if element["type"].endswith("external_select"):
        return {"text": {"type": "plain_text", "text": value}, "value": value}
    assert value in options, f"no such option: {value!r}; there are {sorted(options)}"
    return options[value]
