"""A stand-in for Slack that speaks Slack's protocols over real sockets: Web API, Events API over HTTP, Socket Mode.

    with SlackServer() as slack:
        slack.deliver_to = "http://127.0.0.1:3000/slack/events"   # or let the app connect with Socket Mode
        ts = slack.say("C0NEWS", "U0ANN", "<@U0BOT> Who won?")
        slack.wait_for(lambda: slack.messages("C0NEWS", ts, by="U0BOT"))
        assert not slack.problems and not slack.unsafe

Every call is checked against Slack's documented limits and refused with Slack's own error code. `problems` lists what was
refused, and what Slack would accept and silently mishandle; `unsafe` every mention and link in what was sent that is not in
`allowed_mentions` and `allowed_links`.
"""

from slack_server.controls import Call
from slack_server.server import SlackServer

__all__ = ["Call", "SlackServer"]
