"""Table definitions of the newest schema; `migrations` upgrades older ones."""

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

# Keys: schema (version), library_id (part of the names of its collections on a shared Chroma server),
# generation (increases with every change of the visible articles), link_key (signs the links to evidence
# pages; secret), stories (generation that the story clusters were synced to) and slack_told (see
# CORRECTIONS_CURSOR).
facts = Table(
    "facts", metadata, Column("key", String, primary_key=True), Column("value", String, nullable=False)
)

articles = Table(
    "articles",
    metadata,
    Column("id", String, primary_key=True),
    Column("version", Integer),  # the visible version; null if none is published
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
    # ISO 8601 with time zone: SQLite would drop the zone of a datetime.
    Column("published", String, index=True),
    Column("source", String, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("text", Text, nullable=False),
    Column("written", String, nullable=False),
    Column("author", String, nullable=False, server_default=""),
    Column("pages", JSON, nullable=False, server_default="[]"),  # offset of each page after the first
)

passages = Table(
    "passages",
    metadata,
    Column("id", String, primary_key=True),
    Column("article_id", String, ForeignKey("articles.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("start", Integer, nullable=False),  # in characters of the version's text
    Column("end", Integer, nullable=False),
    Index("passages_by_article", "article_id", "version"),
)

# Vector collections by model; a row is written only when the collection contains every visible passage.
collections = Table(
    "collections",
    metadata,
    Column("fingerprint", String, primary_key=True),
    Column("model", String, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("location", String, nullable=False),
)

# The generation in which an article last changed or was removed; the BM25 index of each machine is synced
# from it.
changes = Table(
    "changes",
    metadata,
    Column("article_id", String, primary_key=True),
    Column("generation", Integer, nullable=False, index=True),
    Column("changed", String, nullable=False, server_default=""),  # time; "" if none was recorded
)

# Answers as returned to users.
answers = Table(
    "answers",
    metadata,
    Column("id", String, primary_key=True),
    Column("given", String, nullable=False),
    Column("answer", JSON, nullable=False),
)

# The article version that supports each citation of an answer; used to find the answers affected by a
# correction or withdrawal.
cited = Table(
    "cited",
    metadata,
    Column("answer_id", String, ForeignKey("answers.id"), primary_key=True),
    Column("n", Integer, primary_key=True),  # the citation's number
    Column("article_id", String, nullable=False, index=True),
    Column("version", Integer, nullable=False),
)

# Traces of answers, to explain them and to run their questions again.
traces = Table(
    "traces",
    metadata,
    Column("answer_id", String, ForeignKey("answers.id"), primary_key=True),
    Column("trace", JSON, nullable=False),
)

# A user has one verdict on an answer and one on each of its citations. Users of the terminal have no id
# (person is ""), and all their verdicts are stored.
feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("answer_id", String, ForeignKey("answers.id"), nullable=False, index=True),
    Column("verdict", String, nullable=False),
    Column("note", Text, nullable=False),
    Column("said", String, nullable=False),
    Column("person", String, nullable=False, server_default=""),
    Column("citation", Integer, nullable=False, server_default="0"),  # its number, or 0 for the whole answer
)
# Unique by (answer_id, person, citation) if there is a person. This condition is in the migration that
# creates the index: here it would import the dialect of a database that is not used.
Index("feedback_once", feedback.c.answer_id, feedback.c.person, feedback.c.citation, unique=True)

# Settings of Slack channels by id, because a name can be reused for another channel.
slack_channels = Table(
    "slack_channels",
    metadata,
    Column("channel", String, primary_key=True),
    Column("sources", JSON, nullable=False),  # names of sources; empty: all sources
    Column("changed", String, nullable=False),
    Column("changed_by", String, nullable=False),
)

# Slack events that were handled, to ignore duplicates: by event id, and by message, because one message can
# be delivered as two events.
slack_events = Table(
    "slack_events",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("channel", String, nullable=False),
    Column("ts", String, nullable=False),
    Column("kind", String, nullable=False),
    # In seconds since 1970, as all times in the tables for Slack.
    Column("received", Float, nullable=False, index=True),
    Index("slack_events_once", "channel", "ts", "kind", unique=True),
)

# Job queue of requests in Slack. `due` is the earliest start of a waiting job, and the end of the lease of a
# running job; `owner` is the claim that has the lease.
slack_jobs = Table(
    "slack_jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("lane", String, nullable=False),  # jobs of one lane run one after another, by `ts`
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
    Column("posting", Boolean, nullable=False),  # Slack may have a reply that is not in `reply` yet
    Column("reply", String, nullable=False),  # the message that answers
    Column("answer_id", String, nullable=False),
    Index("slack_jobs_by_lane", "lane", "state"),
    Index("slack_jobs_by_state", "state", "due"),
    Index("slack_jobs_by_person", "person", "state"),
    Index("slack_jobs_by_target", "channel", "target"),
    Index("slack_jobs_by_thread", "channel", "thread"),
)

# Threads in which the bot answers without being mentioned, and the user it answered last.
slack_threads = Table(
    "slack_threads",
    metadata,
    Column("channel", String, primary_key=True),
    Column("thread", String, primary_key=True),
    Column("person", String, nullable=False),
    Column("quiet", Boolean, nullable=False),
)

# Citations that were struck through in Slack because their article does not contain the quote any more.
slack_struck = Table(
    "slack_struck",
    metadata,
    Column("answer_id", String, ForeignKey("answers.id"), primary_key=True),
    Column("n", Integer, primary_key=True),
)

# Story clusters: a sketch of each article, whose keys are looked up to find similar articles; links between
# articles that share most of their text; and the cluster that results from the links.
stories = Table(
    "stories",
    metadata,
    Column("article_id", String, primary_key=True),
    Column("outlet", String, nullable=False),
    Column("since", String, nullable=False),  # when its text was first stored, ignoring corrections
    Column("story", String, index=True),  # cluster id; null if there is no copy
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

# Key in `facts` of the generation up to which Slack users were notified of citations that are no longer
# valid.
CORRECTIONS_CURSOR = "slack_told"

# Feeds. Times are in seconds since 1970, as in all tables of the crawler.
feeds = Table(
    "feeds",
    metadata,
    Column("url", String, primary_key=True),
    Column("title", String, nullable=False),
    Column("source", String, nullable=False),  # of articles without a source, as the user set it
    Column("state", String, nullable=False),  # ok, failing, or gone (no longer polled)
    Column("etag", String, nullable=False),
    Column("last_modified", String, nullable=False),
    Column("added", Float, nullable=False),
    Column("polled", Float, nullable=False),  # 0: never
    Column("due", Float, nullable=False),
    Column("pause", Float, nullable=False),  # seconds between two polls
    Column("failures", Integer, nullable=False),  # consecutive
    Column("problem", String, nullable=False),
)

# Fetched pages, by canonical form of the requested URL. The validators belong to the visible article: they
# are written only after its publication.
pages = Table(
    "pages",
    metadata,
    Column("key", String, primary_key=True),
    Column("url", String, nullable=False),
    Column("found", String, nullable=False),  # URL after redirects, which the validators belong to
    Column("feed", String, nullable=False, index=True),  # feed that first had it; "" if none
    Column("entry", String, nullable=False),  # its id in the feed
    Column("entry_hash", String, nullable=False),
    Column("about", JSON, nullable=False),  # metadata of the feed, used if the page has none
    Column("state", String, nullable=False),
    Column("article_id", String, nullable=False, index=True),  # "" if it contains no article
    Column("etag", String, nullable=False),
    Column("last_modified", String, nullable=False),
    Column("first_seen", Float, nullable=False),
    Column("checked", Float, nullable=False),
    Column("due", Float, index=True),  # null: only when its feed reports a change
    Column("misses", Integer, nullable=False),  # consecutive times that it was missing or failed
    Column("missed", Float, nullable=False),  # time of the first of them
)

# Hosts that asked for a pause of requests, and its end.
resting_hosts = Table(
    "resting_hosts",
    metadata,
    Column("host", String, primary_key=True),
    Column("until", Float, nullable=False),
)


def build_cited_rows(answer_id: str, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of table `cited` for an answer, given in its stored form."""
    return [
        {"answer_id": answer_id, **{name: citation[name] for name in ("n", "article_id", "version")}}
        for citation in answer.get("citations", ())
    ]
