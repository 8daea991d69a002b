"""Reads back what stands in Slack, and finds the question that each message answers."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field

from bench.load.asking import BOT, Ask
from slack_server import SlackServer
from sqlalchemy import select

from bot.storage.article_store import ArticleStore
from bot.storage.schema import answers


@dataclass
class Result:
    """What came of the questions; the seconds are from a question to the first words of its answer."""

    answered: list[tuple[Ask, str]] = field(default_factory=list)
    lost: list[Ask] = field(default_factory=list)
    twice: list[Ask] = field(default_factory=list)
    disorder: list[Ask] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        return [float(reply) - float(ask.ts) for ask, reply in self.answered]


def read_back(slack: SlackServer, library: ArticleStore, asks: list[Ask]) -> Result:
    """Match the bot's messages with the questions, by thread and by the question that their answer answers."""
    with library.connect() as connection:
        asked_by_id = {row.id: row.answer["question"] for row in connection.execute(select(answers))}
    replies: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    result = Result()
    for channel in {ask.channel for ask in asks}:
        for message in slack.messages(channel, by=BOT):
            ids = re.findall(r"[0-9a-f]{12}", json.dumps(message.get("blocks", ())))
            texts = {asked_by_id[one] for one in ids if one in asked_by_id}
            if len(texts) != 1:
                result.others.append(f"{channel} {message.get('thread_ts')}: {message.get('text', '')[:200]}")
            for text in texts:
                replies[channel, message.get("thread_ts", ""), text].append(message["ts"])
    newest: dict[tuple[str, str], str] = {}
    for ask in asks:
        found = replies.pop((ask.channel, ask.thread, ask.text), [])
        if not found:
            result.lost.append(ask)
            continue
        if len(found) > 1:
            result.twice.append(ask)
        if found[0] < newest.get(ask.lane, ""):
            result.disorder.append(ask)
        newest[ask.lane] = found[0]
        result.answered.append((ask, found[0]))
    result.others += [f"nobody asked this in {channel}: {text}" for channel, _, text in replies]
    return result


def foreign(slack: SlackServer, library: ArticleStore) -> list[str]:
    """Return what was sent that pings or leads anywhere but to the articles."""
    ours = tuple(url for headline in library.list_articles() if (url := headline.url))
    return [note for note in slack.unsafe if not note.partition(": ")[2].startswith(ours)]
