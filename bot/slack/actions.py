"""Buttons and menus of an answer: feedback, sources, asking a person, sharing."""

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
from bot.slack.client import call_read_api, post, post_ephemeral, respond, try_call
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
    """Context of an action: the user, their team, and the channel and thread of the message or of the modal."""

    person: str
    team: str
    channel: str
    thread: str
    response_url: str

    @classmethod
    def from_payload(cls, body: Body) -> ActionContext:
        """Build the context from the payload of an action."""
        container, message = body.get("container") or {}, body.get("message") or {}
        channel, _, thread = str((body.get("view") or {}).get("private_metadata") or "").partition(" ")
        # An ephemeral message has no thread.
        ts = "" if container.get("is_ephemeral") else container.get("message_ts") or message.get("ts") or ""
        return cls(
            person=body["user"]["id"],
            team=str(body["user"].get("team_id") or ""),
            channel=str(container.get("channel_id") or (body.get("channel") or {}).get("id") or channel),
            thread=str(container.get("thread_ts") or message.get("thread_ts") or ts or thread),
            response_url=str(body.get("response_url") or ""),
        )


class AnswerActions:
    """Listeners for the buttons and menus of answers."""

    def __init__(self, desk: SlackContext) -> None:
        self._desk = desk
        self._client = desk.surface.client

    def register(self, app: AsyncApp) -> None:
        """Register the listeners."""
        app.action(re.compile(r"feedback(_right|_wrong)?"))(self.record_feedback)
        app.action(re.compile(r"citation:\d+"))(self.record_citation_feedback)
        app.action("sources")(self.show_sources)
        app.action("ask_person")(self.ask_person)
        app.action("share")(self.share)

    async def record_feedback(self, ack: AsyncAck, body: Body, action: Body) -> None:
        """Store the feedback of a user on an answer; the latest feedback counts."""
        verdict, _, answer_id = _get_value(action).partition(":")
        if verdict in ("right", "wrong"):
            await self._save_feedback(ActionContext.from_payload(body), answer_id, verdict)
        await ack()

    async def record_citation_feedback(self, ack: AsyncAck, body: Body, action: Body) -> None:
        """Store the feedback of a user on one citation."""
        reason, _, rest = _get_value(action).partition(":")
        n, _, answer_id = rest.partition(":")
        if reason in REASONS and _CITATION.fullmatch(n):
            await self._save_feedback(
                ActionContext.from_payload(body), answer_id, "wrong", REASONS[reason].lower(), citation=int(n)
            )
        await ack()

    async def show_sources(self, ack: AsyncAck, body: Body, action: Body) -> None:
        """Open a modal that shows each citation in the context of its article."""
        click, answer = ActionContext.from_payload(body), await self._load_answer(_get_value(action))
        if answer and await self._is_allowed(click):
            articles = await asyncio.to_thread(self._load_articles, answer)
            metadata = {"private_metadata": f"{click.channel} {click.thread}"}
            await self._desk.surface.open_view(
                body["trigger_id"], {**sources_view(answer, articles), **metadata}
            )
        await ack()

    async def ask_person(self, ack: AsyncAck, body: Body, action: Body) -> None:
        """Mention the helpers in the thread, once per answer."""
        self._desk.surface.run_in_background(
            self._ask_person(ActionContext.from_payload(body), _get_value(action))
        )
        await ack()

    async def share(self, ack: AsyncAck, body: Body, action: Body) -> None:
        """Post an ephemeral answer to the channel in which the question was asked."""
        self._desk.surface.run_in_background(
            self._share(ActionContext.from_payload(body), _get_value(action))
        )
        await ack()

    async def _ask_person(self, click: ActionContext, answer_id: str) -> None:
        answer = await self._load_answer(answer_id)
        helpers = self._desk.workspace.settings.slack_helpers
        if not (answer and helpers and await self._is_allowed(click)):
            return
        if not await self._is_first_time(click.channel, answer.id, "ask_person"):
            return
        message = help_wanted_message(helpers, asked_by=click.person, question=answer.question)
        metadata = {"event_type": METADATA_EVENT, "event_payload": {}}
        call = post(self._client, message, channel=click.channel, thread_ts=click.thread, metadata=metadata)
        if not await try_call(call, "help"):
            await self._notify_failure(click)

    async def _share(self, click: ActionContext, answer_id: str) -> None:
        answer = await self._load_answer(answer_id)
        if not (answer and await self._is_allowed(click)):
            return
        if not await self._can_share(click.channel):
            await respond(click.response_url, cannot_share_message())
        elif await self._is_first_time(click.channel, answer.id, "share"):
            await self._share_answer(click, answer)

    async def _share_answer(self, click: ActionContext, answer: Answer) -> None:
        message = answer_message(answer, helpers=self._desk.surface.helpers, shared_by=click.person)
        try:
            done = await self._post_shared_answer(click, answer.id, message)
        except (SlackRejectedError, SlackUnavailableError) as exc:
            logger.warning("not shared: %s", exc)
            done = False
        if not done:
            await self._notify_failure(click)

    async def _post_shared_answer(self, click: ActionContext, answer_id: str, message: Message) -> bool:
        """Post a shared answer, and record its message so that it can be corrected later.

        In a channel of which the bot is not a member, it can only respond to the action, and Slack does not return
        the ts of that message.
        """
        if (await self._get_channel_info(click.channel)).get("is_member") is False:
            return await respond(click.response_url, message, public=True)
        ts = await post(self._client, message, channel=click.channel)
        await asyncio.to_thread(self._desk.inbox.threads.save_shared_reply, click.channel, answer_id, ts)
        return True

    async def _notify_failure(self, click: ActionContext) -> None:
        """Notify a user that an action failed; it is not retried, because it may have succeeded anyway."""
        await try_call(post(self._client, not_done_message(), channel=click.person), "notice")

    async def _save_feedback(
        self, click: ActionContext, answer_id: str, verdict: str, note: str = "", *, citation: int = 0
    ) -> None:
        if not await self._is_allowed(click):
            return
        answers = self._desk.workspace.answers
        try:
            await asyncio.to_thread(
                answers.add_feedback, answer_id, verdict, note, person=click.person, citation=citation
            )
        except QuestionError:  # the value is not from one of our buttons
            logger.info("%s judged what is no answer", click.person)
            return
        self._desk.surface.run_in_background(self._notify(click, noted_message(verdict, note, citation)))

    async def _notify(self, click: ActionContext, message: Message) -> None:
        """Post an ephemeral message to the user.

        After an action on an ephemeral answer, use the response URL, which works in channels without the bot too.
        """
        if click.response_url and not click.thread:
            await respond(click.response_url, message)
            return
        await post_ephemeral(
            self._client, message, channel=click.channel, person=click.person, thread=click.thread
        )

    async def _is_allowed(self, click: ActionContext) -> bool:
        """Return True if the user may do this.

        Users of another team may do it in channels of this workspace, and in those that the settings list as external.
        """
        settings = self._desk.workspace.settings
        if decide_access(settings, click.channel, click.person, external=False) is not AccessDecision.ANSWER:
            return False
        return click.team == self._desk.surface.team or await self._can_share(click.channel)

    async def _is_first_time(self, channel: str, answer_id: str, kind: str) -> bool:
        return await asyncio.to_thread(self._desk.inbox.mark_seen, channel, answer_id, kind)

    async def _load_answer(self, answer_id: str) -> Answer | None:
        """Return a stored answer with its current status: citations that are no longer valid are struck through."""
        found = await asyncio.to_thread(self._desk.workspace.citation_audit.for_answer, answer_id)
        return found.answer if found else None

    def _load_articles(self, answer: Answer) -> dict[tuple[str, int], Article]:
        store = self._desk.workspace.articles
        keys = {(citation.article_id, citation.version) for citation in answer.citations}
        found = {key: store.article(*key) for key in keys}
        return {key: article for key, article in found.items() if article}

    async def _can_share(self, channel: str) -> bool:
        """Return True if the channel is not shared with another company, or if the settings list it as external.

        Return False if Slack does not return the channel.
        """
        if channel in self._desk.workspace.settings.slack_external_channels:
            return True
        try:
            return not (await self._get_channel_info(channel)).get("is_ext_shared")
        except (SlackRejectedError, SlackUnavailableError):
            return False

    async def _get_channel_info(self, channel: str) -> Body:
        found: Body = (await call_read_api(self._client, "conversations.info", {"channel": channel}))[
            "channel"
        ]
        return found


def _get_value(action: Body) -> str:
    return str(action.get("value") or (action.get("selected_option") or {}).get("value") or "")
