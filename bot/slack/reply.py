"""The one message that answers a job: streamed where the server can, else posted once and updated.

Whatever happens in between (a broken connection, a crash, another process that takes the job over), there is one
message an answer: before the first call that could make it, the inbox notes so, and who takes over looks for it.
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

METADATA_EVENT = "citewire_note"  # the metadata of messages that answer nothing, such as a call for help
_BETWEEN_UPDATES = 1.0  # seconds: about what Slack lets an app write to one channel
_TOO_MUCH = frozenset({"msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format"})
_STREAM = 8_000  # characters of a stream; the sources below it need room too


class LeaseLostError(Exception):
    """The job is another's by now: nothing more may be said."""


class Reply:
    """What is said to one job, as one message."""

    def __init__(self, surface: SlackClient, inbox: JobQueue, job: Job) -> None:
        self._surface = surface
        self._client = surface.client
        self._inbox = inbox
        self._job = job
        self._ts = job.reply
        self._sought = False
        self._whole = False
        self._stream: AsyncChatStream | None = None
        self._shown: list[Notice | Sentence] = []
        self._above = ""  # what stands in the stream
        self._written = ""  # all that was to be written into it
        self._last = time.monotonic()
        self._showing: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Find what stands there already, and show that work begins."""
        await self.find_existing()
        self._showing = asyncio.create_task(self._status(READING))  # which the answer need not wait for

    async def find_existing(self) -> None:
        """Find what was said before a crash, or in answer to the question's earlier wording, and note it."""
        if self._sought:
            return
        if not self._ts and self._job.kind == "edit":
            self._ts = await asyncio.to_thread(
                self._inbox.threads.reply_to, self._job.channel, self._job.target
            )
        if not self._ts and self._job.posting and (found := await self._find_orphan()):
            await self._note(found)
        self._sought = True

    async def append(self, parts: Sequence[Notice | Sentence], citations: Sequence[Citation] = ()) -> None:
        """Show verified parts of an answer that is still being written; `citations` are those known so far."""
        self._shown += parts
        text = "".join(to_stream_markdown(part, citations) for part in parts)
        self._written += text
        if not self._ts and self._surface.streams:
            await self._open_stream()
        if self._stream:
            await self._append(text)
        elif time.monotonic() - self._last > _BETWEEN_UPDATES:
            await self._put(partial_message(self._shown))

    async def finish(self, answer: Answer) -> None:
        """Show the whole answer."""
        if not (self._stream and await self._stop(answer)):
            await self._put(answer_message(answer, helpers=self._surface.helpers))
        self._whole = True

    async def say(self, message: Message) -> None:
        """Say something instead of an answer, in the place of what stands there, unless that is the whole answer."""
        if self._whole:
            return
        self._stream = None
        await self._put(message)

    # One message updated

    async def _put(self, message: Message) -> None:
        """Post or update the message; in words alone, where Slack does not take its blocks."""
        try:
            await self._show(message)
        except SlackRejectedError as exc:
            if exc.reason not in _TOO_MUCH or not message.blocks:
                raise
            logger.error("%s: %s", self._job.reference, exc)
            await self._show(Message(message.text, ()))

    async def _show(self, message: Message) -> None:
        self._last = time.monotonic()
        await self._require_lease()
        if self._ts and await self._updated(message):
            return
        ts = await post(self._client, message, channel=self._job.channel, thread_ts=self._job.thread)
        await self._note(ts)

    async def _updated(self, message: Message) -> bool:
        """Update the message; say whether it still stood there."""
        try:
            await self._update(message)
        except SlackRejectedError as exc:
            if exc.reason == "message_not_found":
                self._ts = ""
                return False
            if exc.reason != "streaming_state_conflict":
                raise
            # A stream that could not be ended, or was left by who began it.
            await call_api(
                self._client.chat_stopStream(channel=self._job.channel, ts=self._ts), "chat.stopStream"
            )
            await self._update(message)
        if self._job.kind == "edit":
            await self._status("")  # an update does not end it as a new message does
            await asyncio.to_thread(self._inbox.mark_posted, self._job, self._ts)
        return True

    async def _update(self, message: Message) -> None:
        update = self._client.chat_update(
            channel=self._job.channel, ts=self._ts, text=message.text, blocks=list(message.blocks)
        )
        await call_api(update, "chat.update")

    # A stream

    async def _open_stream(self) -> None:
        self._stream = await self._surface.no_retry_client.chat_stream(
            channel=self._job.channel,
            thread_ts=self._job.thread,
            recipient_team_id=self._job.team or None,
            recipient_user_id=self._job.person,
            buffer_size=1,
        )
        await self._require_lease()

    async def _append(self, text: str) -> None:
        """Append to the stream; go on without one where the server has none, or refuses to go on with it."""
        assert self._stream
        if len(self._above) + len(text) > _STREAM:
            return  # the whole answer stands there at its end
        begun = bool(self._stream.ts)
        try:
            await call_api(
                self._stream.append(markdown_text=text), "chat.appendStream" if begun else "chat.startStream"
            )
        except SlackRejectedError as exc:
            if not begun:
                self._surface.disable_streaming(exc)
            self._stream = None
            return
        self._above += text
        if not begun and self._stream.ts:
            await self._note(self._stream.ts)

    async def _stop(self, answer: Answer) -> bool:
        """End the stream with the answer's sources; say whether the whole answer stands there now."""
        assert self._stream
        if not self._stream.ts:  # nothing fitted into it, and to end it would begin it
            self._stream = None
            return False
        said = " ".join(part for part in self._shown if isinstance(part, Notice))
        whole = self._above == self._written and self._sentences == answer.sentences
        blocks = closing_blocks(answer, said=said, above=self._above, helpers=self._surface.helpers)
        try:
            await call_api(self._stream.stop(blocks=list(blocks)), "chat.stopStream")
        except SlackRejectedError:
            return False
        finally:
            self._stream = None
        return whole

    @property
    def _sentences(self) -> tuple[Sentence, ...]:
        return tuple(part for part in self._shown if isinstance(part, Sentence))

    # One and only one

    async def _require_lease(self) -> None:
        await self.find_existing()
        if self._showing:  # a status that came after the answer would stay
            await asyncio.wait([self._showing])
        if not await asyncio.to_thread(self._inbox.mark_posting, self._job):
            raise LeaseLostError

    async def _note(self, ts: str) -> None:
        self._ts = ts
        await asyncio.to_thread(self._inbox.mark_posted, self._job, ts)

    async def _find_orphan(self) -> str:
        """Return our message in the thread that no job knows: the one that was made when nobody could note it."""
        channel, thread = self._job.channel, self._job.thread
        known = await asyncio.to_thread(self._inbox.threads.replies, channel, thread)
        with_notes = {"oldest": self._job.target, "include_all_metadata": "true"}
        async for message in iter_thread(self._client, channel, thread, **with_notes):
            if self._is_ours(message) and message["ts"] not in known:
                return str(message["ts"])
        return ""

    def _is_ours(self, message: dict[str, Any]) -> bool:
        is_note = (message.get("metadata") or {}).get("event_type") == METADATA_EVENT
        return (
            message.get("user") == self._surface.bot_user_id
            and not is_note
            and message["ts"] > self._job.target
        )

    async def _status(self, status: str) -> None:
        more = {"loading_messages": LOADING} if status else {}
        await self._surface.attempt(
            "assistant.threads.setStatus",
            "assistant_threads_setStatus",
            channel_id=self._job.channel,
            thread_ts=self._job.thread,
            status=status,
            **more,
        )
