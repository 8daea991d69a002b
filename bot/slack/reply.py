"""Posts, streams and updates the one reply to a job.

The reply is streamed if the server can stream, otherwise posted once and updated. After a broken connection, a crash,
or when another process claims the job, there is still one message per answer: the queue records that a reply may exist
before the first call that could create it, and the next claim searches for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from slack_sdk.web.async_chat_stream import AsyncChatStream

from bot.answering.answer import Answer, Citation, Sentence
from bot.answering.question import Notice
from bot.errors import SlackRejectedError
from bot.slack.client import SlackClient, call_api, iter_thread, post
from bot.slack.models import Job
from bot.slack.queue import JobQueue
from bot.slack.rendering.answer import (
    Message,
    answer_message,
    closing_blocks,
    partial_message,
    to_stream_markdown,
)
from bot.slack.rendering.messages import LOADING, READING

logger = logging.getLogger(__name__)

# Event type in the metadata of messages that are not replies, such as a mention of the helpers.
METADATA_EVENT = "citewire_note"
_UPDATE_INTERVAL_SECONDS = 1.0  # about the rate at which an app may write to one channel
_BLOCK_ERRORS = frozenset({"msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format"})
_MAX_STREAM_CHARS = 8_000  # leaves room for the sources below the stream


class LeaseLostError(Exception):
    """The job belongs to another claim: nothing more may be posted."""


class Reply:
    """Reply to a job, as one message."""

    def __init__(self, surface: SlackClient, inbox: JobQueue, job: Job) -> None:
        self._surface = surface
        self._client = surface.client
        self._inbox = inbox
        self._job = job
        self._ts = job.reply
        self._is_searched = False
        self._is_finished = False
        self._stream: AsyncChatStream | None = None
        self._parts: list[Notice | Sentence] = []
        self._streamed_text = ""  # text sent to the stream
        self._full_text = ""  # text of all parts, also if it was not sent
        self._updated_at = time.monotonic()
        self._status_task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Find an existing reply, and show a status in the thread."""
        await self.find_existing()
        # In the background, so that the answer need not wait for it.
        self._status_task = asyncio.create_task(self._set_status(READING))

    async def find_existing(self) -> None:
        """Find and record a reply that was posted before a crash, or that answers the question before it was edited."""
        if self._is_searched:
            return
        if not self._ts and self._job.kind == "edit":
            self._ts = await asyncio.to_thread(
                self._inbox.threads.reply_to, self._job.channel, self._job.target
            )
        if not self._ts and self._job.posting and (found := await self._find_orphan()):
            await self._record_reply(found)
        self._is_searched = True

    async def append(self, parts: Sequence[Notice | Sentence], citations: Sequence[Citation] = ()) -> None:
        """Show verified parts of an unfinished answer; `citations` are those known so far."""
        self._parts += parts
        text = "".join(to_stream_markdown(part, citations) for part in parts)
        self._full_text += text
        if not self._ts and self._surface.can_stream:
            await self._open_stream()
        if self._stream:
            await self._append_to_stream(text)
        elif time.monotonic() - self._updated_at > _UPDATE_INTERVAL_SECONDS:
            await self._show(partial_message(self._parts))

    async def finish(self, answer: Answer) -> None:
        """Show the complete answer."""
        if not (self._stream and await self._finish_stream(answer)):
            await self._show(answer_message(answer, helpers=self._surface.helpers))
        self._is_finished = True

    async def say(self, message: Message) -> None:
        """Show a message instead of an answer, replacing what was shown, unless that is the complete answer."""
        if self._is_finished:
            return
        self._stream = None
        await self._show(message)

    # Post and update

    async def _show(self, message: Message) -> None:
        """Post or update the message; without its blocks if Slack rejects them."""
        try:
            await self._post_or_update(message)
        except SlackRejectedError as exc:
            if exc.reason not in _BLOCK_ERRORS or not message.blocks:
                raise
            logger.error("%s: %s", self._job.reference, exc)
            await self._post_or_update(Message(message.text, ()))

    async def _post_or_update(self, message: Message) -> None:
        self._updated_at = time.monotonic()
        await self._require_lease()
        if self._ts and await self._try_update(message):
            return
        ts = await post(self._client, message, channel=self._job.channel, thread_ts=self._job.thread)
        await self._record_reply(ts)

    async def _try_update(self, message: Message) -> bool:
        """Update the message; return False if it was deleted."""
        try:
            await self._update(message)
        except SlackRejectedError as exc:
            if exc.reason == "message_not_found":
                self._ts = ""
                return False
            if exc.reason != "streaming_state_conflict":
                raise
            # The stream could not be stopped, or was started by a claim that has expired.
            await call_api(
                self._client.chat_stopStream(channel=self._job.channel, ts=self._ts), "chat.stopStream"
            )
            await self._update(message)
        if self._job.kind == "edit":
            await self._set_status("")  # a new message clears the status, an update does not
            await asyncio.to_thread(self._inbox.mark_posted, self._job, self._ts)
        return True

    async def _update(self, message: Message) -> None:
        update = self._client.chat_update(
            channel=self._job.channel, ts=self._ts, text=message.text, blocks=list(message.blocks)
        )
        await call_api(update, "chat.update")

    # Stream

    async def _open_stream(self) -> None:
        self._stream = await self._surface.no_retry_client.chat_stream(
            channel=self._job.channel,
            thread_ts=self._job.thread,
            recipient_team_id=self._job.team or None,
            recipient_user_id=self._job.person,
            buffer_size=1,
        )
        await self._require_lease()

    async def _append_to_stream(self, text: str) -> None:
        """Append text to the stream; continue without a stream if the server has none or rejects the call."""
        assert self._stream
        if len(self._streamed_text) + len(text) > _MAX_STREAM_CHARS:
            return  # the complete answer is shown at the end
        is_started = bool(self._stream.ts)
        try:
            await call_api(
                self._stream.append(markdown_text=text),
                "chat.appendStream" if is_started else "chat.startStream",
            )
        except SlackRejectedError as exc:
            if not is_started:
                self._surface.disable_streaming(exc)
            self._stream = None
            return
        self._streamed_text += text
        if not is_started and self._stream.ts:
            await self._record_reply(self._stream.ts)

    async def _finish_stream(self, answer: Answer) -> bool:
        """Stop the stream and show the sources below it; return True if the complete answer is shown."""
        assert self._stream
        if not self._stream.ts:  # no text fitted into it, and stopping it would start it
            self._stream = None
            return False
        notice = " ".join(part for part in self._parts if isinstance(part, Notice))
        is_complete = self._streamed_text == self._full_text and self._sentences == answer.sentences
        blocks = closing_blocks(
            answer, notice=notice, above=self._streamed_text, helpers=self._surface.helpers
        )
        try:
            await call_api(self._stream.stop(blocks=list(blocks)), "chat.stopStream")
        except SlackRejectedError:
            return False
        finally:
            self._stream = None
        return is_complete

    @property
    def _sentences(self) -> tuple[Sentence, ...]:
        return tuple(part for part in self._parts if isinstance(part, Sentence))

    # Exactly one message

    async def _require_lease(self) -> None:
        await self.find_existing()
        if self._status_task:  # a status that is set after the answer would remain
            await asyncio.wait([self._status_task])
        if not await asyncio.to_thread(self._inbox.mark_posting, self._job):
            raise LeaseLostError

    async def _record_reply(self, ts: str) -> None:
        self._ts = ts
        await asyncio.to_thread(self._inbox.mark_posted, self._job, ts)

    async def _find_orphan(self) -> str:
        """Return the ts of a message of ours in the thread that is not recorded for any job, or an empty string."""
        channel, thread = self._job.channel, self._job.thread
        known = await asyncio.to_thread(self._inbox.threads.replies, channel, thread)
        with_metadata = {"oldest": self._job.target, "include_all_metadata": "true"}
        async for message in iter_thread(self._client, channel, thread, **with_metadata):
            if self._is_ours(message) and message["ts"] not in known:
                return str(message["ts"])
        return ""

    def _is_ours(self, message: dict[str, Any]) -> bool:
        is_metadata_message = (message.get("metadata") or {}).get("event_type") == METADATA_EVENT
        return (
            message.get("user") == self._surface.bot_user_id
            and not is_metadata_message
            and message["ts"] > self._job.target
        )

    async def _set_status(self, status: str) -> None:
        more = {"loading_messages": LOADING} if status else {}
        await self._surface.attempt(
            "assistant.threads.setStatus",
            "assistant_threads_setStatus",
            channel_id=self._job.channel,
            thread_ts=self._job.thread,
            status=status,
            **more,
        )
