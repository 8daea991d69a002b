"""The library's tables as they are now; `migrations` brings an older library up to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

# One row each: schema, library_id (names this library's collections on a shared Chroma server),
# generation (rises with everything that changes what readers see) and link_key (seals the links to evidence
# pages; secret).
facts = Table(
    "facts", metadata, Column("key", String, primary_key=True), Column("value", String, nullable=False)
)

articles = Table(
    "articles",
    metadata,
    Column("id", String, primary_key=True),
    Column("version", Integer),  # the version readers see; null until the first is published
    Column("origin", String, nullable=False),  # the file it was last read from
)

versions = Table(
    "versions",
    metadata,
    Column("article_id", String, ForeignKey("articles.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("content_hash", String, nullable=False),
    Column("url", String),
    Column("canonical_url", String, index=True),
    Column("title", String, nullable=False),
    Column(
        "published", String, index=True
    ),  # ISO 8601 with its zone: SQLite would drop the zone of a datetime
    Column("source", String, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("text", Text, nullable=False),
    Column("written", String, nullable=False),
    Column("author", String, nullable=False, server_default=""),
    Column("pages", JSON, nullable=False, server_default="[]"),  # where each page after the first begins
)

passages = Table(
    "passages",
    metadata,
    Column("id", String, primary_key=True),
    Column("article_id", String, ForeignKey("articles.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("start", Integer, nullable=False),  # characters into the version's text
    Column("end", Integer, nullable=False),
    Index("passages_by_article", "article_id", "version"),
)

# Where the vectors of a model stand; a row is written only when every visible passage is in them.
collections = Table(
    "collections",
    metadata,
    Column("fingerprint", String, primary_key=True),
    Column("model", String, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("location", String, nullable=False),
)

# The generation in which what readers see of an article last changed, its disappearing included: what each
# machine's word index follows.
changes = Table(
    "changes",
    metadata,
    Column("article_id", String, primary_key=True),
    Column("generation", Integer, nullable=False, index=True),
    Column("changed", String, nullable=False, server_default=""),  # when; "" before this was noted
)

# Answers as they were given, and what readers said of them.
answers = Table(
    "answers",
    metadata,
    Column("id", String, primary_key=True),
    Column("given", String, nullable=False),
    Column("answer", JSON, nullable=False),
)

# Which version of which article each citation of an answer stands on: what finds the answers that a correction or a
# withdrawal concerns.
cited = Table(
    "cited",
    metadata,
    Column("answer_id", String, ForeignKey("answers.id"), primary_key=True),
    Column("n", Integer, primary_key=True),  # the citation's number
    Column("article_id", String, nullable=False, index=True),
    Column("version", Integer, nullable=False),
)

# What an answer came from, so that it can be explained and asked again.
traces = Table(
    "traces",
    metadata,
    Column("answer_id", String, ForeignKey("answers.id"), primary_key=True),
    Column("trace", JSON, nullable=False),
)

# A person has one judgement of an answer and one of each of its citations; the terminal's people have no id
# (person is ""), and all that is said there is kept.
feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("answer_id", String, ForeignKey("answers.id"), nullable=False, index=True),
    Column("verdict", String, nullable=False),
    Column("note", Text, nullable=False),
    Column("said", String, nullable=False),
    Column("person", String, nullable=False, server_default=""),
    Column("citation", Integer, nullable=False, server_default="0"),  # its number; 0: the answer as a whole
)
# Unique by (answer_id, person, citation) where a person is named. Its condition stands in the step that makes it:
# stated here, it would import the dialect of a database that is not used.
Index("feedback_once", feedback.c.answer_id, feedback.c.person, feedback.c.citation, unique=True)

# What was set for a channel in Slack, by its id: a name can be given to another channel.
slack_channels = Table(
    "slack_channels",
    metadata,
    Column("channel", String, primary_key=True),
    Column("sources", JSON, nullable=False),  # outlets' names; none: all of them
    Column("changed", String, nullable=False),
    Column("changed_by", String, nullable=False),
)

# What Slack has sent that led to something, so that what it sends again leads to nothing: by its own id, and by
# what it is about, because one message can come as two events.
slack_events = Table(
    "slack_events",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("channel", String, nullable=False),
    Column("ts", String, nullable=False),
    Column("kind", String, nullable=False),
    Column(
        "received", Float, nullable=False, index=True
    ),  # seconds since 1970, as all times of Slack's tables
    Index("slack_events_once", "channel", "ts", "kind", unique=True),
)

# What people in Slack asked for and what has become of it. `due` is when a waiting job may be begun, and until when
# one that is being worked on belongs to its `owner`, the claim that took it.
slack_jobs = Table(
    "slack_jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("lane", String, nullable=False),  # jobs of one lane are done one after another, by `ts`
    Column("channel", String, nullable=False),
    Column("thread", String, nullable=False),
    Column("target", String, nullable=False),  # the message it is about
    Column("ts", String, nullable=False),
    Column("person", String, nullable=False),
    Column("team", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("received", Float, nullable=False),
    Column("state", String, nullable=False),
    Column("due", Float, nullable=False),
    Column("owner", String, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("posting", Boolean, nullable=False),  # a reply may stand in Slack though `reply` does not know it
    Column("reply", String, nullable=False),  # the message that answers
    Column("answer_id", String, nullable=False),
    Index("slack_jobs_by_lane", "lane", "state"),
    Index("slack_jobs_by_state", "state", "due"),
    Index("slack_jobs_by_person", "person", "state"),
    Index("slack_jobs_by_target", "channel", "target"),
    Index("slack_jobs_by_thread", "channel", "thread"),
)

# Threads in which the bot goes on without being mentioned, and with whom it last spoke there.
slack_threads = Table(
    "slack_threads",
    metadata,
    Column("channel", String, primary_key=True),
    Column("thread", String, primary_key=True),
    Column("person", String, nullable=False),
    Column("quiet", Boolean, nullable=False),
)

# The citations of answers in Slack that were struck through because their article no longer says so.
slack_struck = Table(
    "slack_struck",
    metadata,
    Column("answer_id", String, ForeignKey("answers.id"), primary_key=True),
    Column("n", Integer, primary_key=True),
)

# Which articles carry one story: a sketch of each (what it has in common with others is looked up by `key`), the other
# articles that it was found to share most of its words with, and the story that these links make of them.
stories = Table(
    "stories",
    metadata,
    Column("article_id", String, primary_key=True),
    Column("outlet", String, nullable=False),
    Column("since", String, nullable=False),  # when the library met its text, corrections aside
    Column("story", String, index=True),  # null where no other article carries it
)
story_keys = Table(
    "story_keys",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("article_id", String, primary_key=True, index=True),
    sqlite_with_rowid=False,
)
story_links = Table(
    "story_links",
    metadata,
    Column("article_id", String, primary_key=True),
    Column("other_id", String, primary_key=True, index=True),
    sqlite_with_rowid=False,
)

# The fact up to which generation people in Slack were told of what no longer stands.
TOLD = "slack_told"

# Feeds that are polled. Times are seconds since 1970, as in all tables of what is fetched.
feeds = Table(
    "feeds",
    metadata,
    Column("url", String, primary_key=True),
    Column("title", String, nullable=False),
    Column("source", String, nullable=False),  # the outlet of articles that name none, as it was given
    Column("state", String, nullable=False),  # ok, failing, or gone: it is polled no more
    Column("etag", String, nullable=False),
    Column("last_modified", String, nullable=False),
    Column("added", Float, nullable=False),
    Column("polled", Float, nullable=False),  # 0: never
    Column("due", Float, nullable=False),
    Column("pause", Float, nullable=False),  # seconds between two polls
    Column("failures", Integer, nullable=False),  # one after another
    Column("problem", String, nullable=False),
)

# Pages that were fetched, by the canonical form of the address they were asked for under. Their validators are those
# of what readers see: written only after it is published.
pages = Table(
    "pages",
    metadata,
    Column("key", String, primary_key=True),
    Column("url", String, nullable=False),
    Column("found", String, nullable=False),  # where it was in the end; its validators are that address's
    Column("feed", String, nullable=False, index=True),  # that first named it; "" for none
    Column("entry", String, nullable=False),  # its id there
    Column("entry_hash", String, nullable=False),
    Column("about", JSON, nullable=False),  # what the feed says of it where the page says nothing
    Column("state", String, nullable=False),
    Column("article_id", String, nullable=False, index=True),  # "" where none came from it
    Column("etag", String, nullable=False),
    Column("last_modified", String, nullable=False),
    Column("first_seen", Float, nullable=False),
    Column("checked", Float, nullable=False),
    Column("due", Float, index=True),  # null: only when its feed says that it has changed
    Column("misses", Integer, nullable=False),  # times one after another that it was not there, or failed
    Column("missed", Float, nullable=False),  # since when
)

# Until when hosts asked not to be asked.
resting_hosts = Table(
    "resting_hosts",
    metadata,
    Column("host", String, primary_key=True),
    Column("until", Float, nullable=False),
)


def cited_rows(answer_id: str, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of `cited` for an answer as it is stored."""
    return [
        {"answer_id": answer_id, **{name: citation[name] for name in ("n", "article_id", "version")}}
        for citation in answer.get("citations", ())
    ]
