"""Modals, home tabs and what is answered by a response_url."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slack_server.api import Arguments, method
from slack_server.chat import check_content, content_of, from_bot
from slack_server.limits import check_view
from slack_server.refusal import refuse

if TYPE_CHECKING:
    from slack_server.server import SlackServer


def spend_trigger(slack: SlackServer, given: Arguments) -> str:
    """Take a trigger_id: known, not used before, at most three seconds old; give whose it is."""
    ticket = slack.triggers.get(str(given.get("trigger_id")))
    refuse(ticket is None, "invalid_trigger_id")
    assert ticket is not None
    refuse(ticket.uses > 0, "exchanged_trigger_id")
    refuse(ticket.age > slack.trigger_seconds, "expired_trigger_id", f"after {ticket.age:.1f} s")
    ticket.uses += 1
    return ticket.user


@method("views.open", needs="trigger_id view")
def views_open(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    check_view(given["view"], kinds=("modal",))
    return {"view": slack.open_view(given["view"], spend_trigger(slack, given))}


@method("views.push", needs="trigger_id view")
def views_push(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    check_view(given["view"], kinds=("modal",))
    below = slack.triggers[given["trigger_id"]].view if given["trigger_id"] in slack.triggers else ""
    user = spend_trigger(slack, given)
    refuse(below not in slack.views, "not_found", "no modal to push upon")
    return {"view": slack.push_view(given["view"], user, below)}


@method("views.update", needs="view")
def views_update(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    by_name = {
        view.get("external_id"): view["id"] for view in slack.views.values() if view.get("external_id")
    }
    view_id = given.get("view_id") or by_name.get(given.get("external_id"))
    refuse(view_id not in slack.views, "not_found", str(view_id))
    kind = slack.views[view_id]["type"]
    check_view(given["view"], kinds=(kind,))
    return {"view": slack.replace_view(view_id, given["view"], given.get("hash"))}


@method("views.publish", needs="user_id view")
def views_publish(slack: SlackServer, given: Arguments) -> dict[str, Any]:
    check_view(given["view"], kinds=("home",))
    refuse(given["user_id"] not in slack.people, "user_not_found", given["user_id"])
    return {"view": slack.publish(given["user_id"], given["view"], given.get("hash"))}


def response(slack: SlackServer, token: str, given: Arguments) -> None:
    """Do what a message to a response_url asks for: five times within half an hour."""
    ticket = slack.response_urls.get(token)
    refuse(ticket is None, "invalid_url")
    assert ticket is not None
    refuse(ticket.age > 1800, "expired_url")
    refuse(ticket.uses >= 5, "used_url")
    ticket.uses += 1
    if given.get("delete_original"):
        return slack.take_back(ticket)
    check_content(slack, given, name="response_url")
    if given.get("replace_original"):
        return slack.replace_original(ticket, content_of(given))
    content = content_of(given) | ({"thread_ts": given["thread_ts"]} if given.get("thread_ts") else {})
    if given.get("response_type") == "in_channel":
        for flag in ("unfurl_links", "unfurl_media"):
            slack.problem_if(given.get(flag) is not False, "response_url", f"{flag} is not false")
        channel = slack.channels[ticket.channel]
        return slack.wrote(channel, slack.write(channel, from_bot(**content)))
    slack.show(ticket.channel, ticket.user, content)
    return None
