"""What people do with an answer: judge it or one of its sources, look at the sources, call a person, share it."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.answering.answer import Answer
from bot.articles.article import Article
from bot.errors import QuestionError, SlackRejectedError, SlackUnavailableError
from bot.slack.client import ask, post, post_ephemeral, try_call
from bot.slack.handlers.commands import respond
from bot.slack.handlers.questions import SlackContext
from bot.slack.rendering.answer import Message, answer_message
from bot.slack.rendering.citations import REASONS
from bot.slack.rendering.messages import (
    cannot_share_message,
    help_wanted_message,
    not_done_message,
    noted_message,
)
from bot.slack.rendering.views import sources_view
from bot.slack.reply import METADATA_EVENT
from bot.slack.routing import AccessDecision, decide_access

logger = logging.getLogger(__name__)

Body = dict[str, Any]

_CITATION = re.compile(r"[1-9]\d{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ActionContext:
    """Who did it, of which team, and where: in a modal, where the modal was opened."""

    person: str
    team: str
    channel: str
    thread: str
    response_url: str

    @classmethod
    def of(cls, body: Body) -> ActionContext:
        """Return the context of an action's payload."""
        container, message = body.get("container") or {}, body.get("message") or {}
        channel, _, thread = str((body.get("view") or {}).get("private_metadata") or "").partition(" ")
        # A message that only one person sees has no thread.
        ts = "" if container.get("is_ephemeral") else container.get("message_ts") or message.get("ts") or ""
        return cls(
            person=body["user"]["id"],
            team=str(body["user"].get("team_id") or ""),
            channel=str(container.get("channel_id") or (body.get("channel") or {}).get("id") or channel),
            thread=str(container.get("thread_ts") or message.get("thread_ts") or ts or thread),
            response_url=str(body.get("response_url") or ""),
        )


class AnswerActions:
    """Hears the buttons and menus of answers."""

    def __init__(self, desk: SlackContext) -> None:
        self._desk = desk
        self._client = desk.surface.client

    def register(self, app: AsyncApp) -> None:
        """Register every button and menu of an answer."""
        app.action(re.compile(r"feedback(_right|_wrong)?"))(self.record_feedback)
        app.action(re.compile(r"citation:\d+"))(self.record_citation_feedback)
        app.action("sources")(self.show_sources)
        app.action("ask_person")(self.ask_person)
        app.action("share")(self.share)

    async def record_feedback(self, ack: AsyncAck, body: Body, action: Body) -> None:
        """Keep what somebody says of a whole answer; the newest word counts."""
        verdict, _, answer_id = _value(action).partition(":")
        if verdict in ("right", "wrong"):
            await self._keep(ActionContext.of(body), answer_id, verdict)
        await ack()

    async def record_citation_feedback(self, ack: AsyncAck, body: Body, action: Body) -> None:
        """Keep what somebody says of one source."""
        reason, _, rest = _value(action).partition(":")
        n, _, answer_id = rest.partition(":")
        if reason in REASONS and _CITATION.fullmatch(n):
            await self._keep(
                ActionContext.of(body), answer_id, "wrong", REASONS[reason].lower(), citation=int(n)
            )
        await ack()

    async def show_sources(self, ack: AsyncAck, body: Body, action: Body) -> None:
        """Show each source within what stands around it in its article."""
        click, answer = ActionContext.of(body), await self._answer(_value(action))
        if answer and await self._is_allowed(click):
            articles = await asyncio.to_thread(self._articles, answer)
            place = {"private_metadata": f"{click.channel} {click.thread}"}
            await self._desk.surface.open_view(
                body["trigger_id"], {**sources_view(answer, articles), **place}
            )
        await ack()

    async def ask_person(self, ack: AsyncAck, body: Body, action: Body) -> None:
        """Call the people who help, once an answer."""
        self._desk.surface.run_in_background(self._ask_person(ActionContext.of(body), _value(action)))
        await ack()

    async def share(self, ack: AsyncAck, body: Body, action: Body) -> None:
        """Show a private answer to the channel that it was asked in."""
        self._desk.surface.run_in_background(self._share(ActionContext.of(body), _value(action)))
        await ack()

    # Within

    async def _ask_person(self, click: ActionContext, answer_id: str) -> None:
        answer = await self._answer(answer_id)
        helpers = self._desk.workspace.settings.slack_helpers
        if not (answer and helpers and await self._is_allowed(click)):
            return
        if not await self._is_first_time(click.channel, answer.id, "ask_person"):
            return
        message = help_wanted_message(helpers, asked_by=click.person, question=answer.question)
        note = {"event_type": METADATA_EVENT, "event_payload": {}}
        call = post(self._client, message, channel=click.channel, thread_ts=click.thread, metadata=note)
        if not await try_call(call, "help"):
            await self._tell_directly(click)

    async def _share(self, click: ActionContext, answer_id: str) -> None:
        answer = await self._answer(answer_id)
        if not (answer and await self._is_allowed(click)):
            return
        if not await self._may_share(click.channel):
            await respond(click.response_url, cannot_share_message())
        elif await self._is_first_time(click.channel, answer.id, "share"):
            await self._show_all(click, answer)

    async def _show_all(self, click: ActionContext, answer: Answer) -> None:
        shared = answer_message(answer, helpers=self._desk.surface.helpers, shared_by=click.person)
        try:
            done = await self._shown(click, answer.id, shared)
        except (SlackRejectedError, SlackUnavailableError) as exc:
            logger.warning("not shared: %s", exc)
            done = False
        if not done:
            await self._tell_directly(click)

    async def _shown(self, click: ActionContext, answer_id: str, shared: Message) -> bool:
        """Post a shared answer, and note where it stands: it may have to be corrected there.

        In a channel that the bot is not in it can only answer the click, and is not told where that stands.
        """
        if (await self._looked_at(click.channel)).get("is_member") is False:
            return await respond(click.response_url, shared, public=True)
        ts = await post(self._client, shared, channel=click.channel)
        await asyncio.to_thread(self._desk.inbox.threads.shared, click.channel, answer_id, ts)
        return True

    async def _tell_directly(self, click: ActionContext) -> None:
        """Tell somebody that nothing came of their click; it may have come about all the same, and is not repeated."""
        await try_call(post(self._client, not_done_message(), channel=click.person), "notice")

    async def _keep(
        self, click: ActionContext, answer_id: str, verdict: str, note: str = "", *, citation: int = 0
    ) -> None:
        if not await self._is_allowed(click):
            return
        journal = self._desk.workspace.answers
        try:
            await asyncio.to_thread(
                journal.add_feedback, answer_id, verdict, note, person=click.person, citation=citation
            )
        except QuestionError:  # a value that no button of ours has
            logger.info("%s judged what is no answer", click.person)
            return
        self._desk.surface.run_in_background(self._tell(click, noted_message(verdict, note, citation)))

    async def _tell(self, click: ActionContext, message: Message) -> None:
        """Say something to one person; below their private answer, which can stand where the bot is not."""
        if click.response_url and not click.thread:
            await respond(click.response_url, message)
            return
        await post_ephemeral(
            self._client, message, channel=click.channel, person=click.person, thread=click.thread
        )

    async def _is_allowed(self, click: ActionContext) -> bool:
        """Say whether somebody may see and do this; another team's people where the channel is ours, or named."""
        settings = self._desk.workspace.settings
        if (
            decide_access(settings, click.channel, click.person, external=False)
            is not AccessDecision.ANSWERED
        ):
            return False
        return click.team == self._desk.surface.team or await self._may_share(click.channel)

    async def _is_first_time(self, channel: str, answer_id: str, what: str) -> bool:
        return await asyncio.to_thread(self._desk.inbox.mark_seen, channel, answer_id, what)

    async def _answer(self, answer_id: str) -> Answer | None:
        """Return a stored answer as it stands now: what no longer does is struck through wherever it is shown again."""
        found = await asyncio.to_thread(self._desk.workspace.citation_audit.for_answer, answer_id)
        return found.answer if found else None

    def _articles(self, answer: Answer) -> dict[tuple[str, int], Article]:
        library = self._desk.workspace.articles
        keys = {(citation.article_id, citation.version) for citation in answer.citations}
        found = {key: library.article(*key) for key in keys}
        return {key: article for key, article in found.items() if article}

    async def _may_share(self, channel: str) -> bool:
        """Say whether a channel is the company's own, or one that is named; one that cannot be looked at is neither."""
        if channel in self._desk.workspace.settings.slack_external_channels:
            return True
        try:
            return not (await self._looked_at(channel)).get("is_ext_shared")
        except (SlackRejectedError, SlackUnavailableError):
            return False

    async def _looked_at(self, channel: str) -> Body:
        found: Body = (await ask(self._client, "conversations.info", {"channel": channel}))["channel"]
        return found


def _value(action: Body) -> str:
    return str(action.get("value") or (action.get("selected_option") or {}).get("value") or "")
