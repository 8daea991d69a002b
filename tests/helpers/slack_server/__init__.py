"""A stand-in for Slack that speaks Slack's protocols over real sockets: Web API, Events API over HTTP, Socket Mode.

    with SlackServer() as slack:
        slack.deliver_to = "http://127.0.0.1:3000/slack/events"   # or let the app connect with Socket Mode
        ts = slack.say("C0NEWS", "U0ANN", "<@U0BOT> Who won?")
        slack.wait_for(lambda: slack.messages("C0NEWS", ts, by="U0BOT"))
        assert not slack.problems and not slack.unsafe

Every call is checked against Slack's documented limits and refused with Slack's own error code. `problems` lists what was
refused, and what Slack would accept and silently mishandle; `unsafe` every mention and link in what was sent that is not in
`allowed_mentions` and `allowed_links`.

There are the people U0ANN, U0BEN, U0CAT and (of another company) U0GUEST, the bot U0BOT, the channels C0NEWS, G0DESK (private),
C0SHARED (with the other company), C0QUIET (the bot is not in it), the user group S0DESK; `add_person`, `add_channel` and `dm`
make more. People `say`, `edit`, `delete`, `join`, `click`, `submit` … (people.py, hands.py); what the app wrote stands in
`messages`, `shown_to`, `views_of`, `home_of`, `statuses`, `prompts`; every call in `calls`. Calls are made to `fail`, to be slow
(`delay`), metered (`rate`) or unknown (`without`); deliveries to come again (`redeliver`, `courier.redeliver_share`); sockets to
end (`disconnect`, `drop_connections`). `wait_for` waits on what happens, never on time; `until` is its awaitable form.
"""

from slack_server.controls import Call
from slack_server.server import SlackServer

__all__ = ["Call", "SlackServer"]
