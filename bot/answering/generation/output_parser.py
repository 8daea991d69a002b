"""Streaming parser of cited sentences in model output, for any common format.

Text is parsed character by character, and every decision depends only on the characters so far: the result does not
depend on how a stream splits the answer into chunks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from bot.answering.generation.sanitizer import split_citation_markers, strip_markup
from bot.articles.chunking import split_sentences

_LIST = re.compile(r"\s*(?:>\s*)*(?:[-*•+–]\s+|\d{1,2}[.)]\s+)?(?:>\s*)*")
_FENCE = re.compile(r"\s*(?:```|~~~)")
# Lines without a sentence: headings, horizontal rules, and the list of sources that some models add.
_NO_CLAIM = re.compile(
    r"\s*(?:#{1,6}\s.*|\*\*[^*.!?]+\*\*:?|__[^_.!?]+__:?|[-*_=]{3,}|\[\^?\d+\]:.*|"
    r"\W*(?:sources?|references?|citations?|answer|summary)\W*)",
    re.IGNORECASE,
)
_TABLE_ROW = re.compile(r"\s*\|")
_TABLE_RULE = re.compile(r"[\s|:-]+")
_MARKS = (
    r"(?:\s*(?:\[\[?[^\[\]\n]{1,40}\]\]?(?:\([^()\s]*\))?|【[^】\n]{1,40}】|\(\d{1,2}(?:\s*,\s*\d{1,2})*\)))"
)
_BEGINS_WITH_MARKS = re.compile(rf"{_MARKS}+")
_UNFINISHED_MARK = re.compile(r"\s*[\[【(][^\]】)\n]{0,40}")
_CUT_MARK = re.compile(r"\s*[\[【][^\]】\n]{0,40}$")
_ENDS = re.compile(rf"[.!?…][\"'”’»)*_]*{_MARKS}*\s*$|{_MARKS}\s*[.!?…][\"'”’»)*_]*\s*$")
_MARKED_END = re.compile(rf"{_MARKS}\s*[.!?…]?[\"'”’»)*_]*\s*$")  # even after an abbreviation
_HOUR = re.compile(r"\b[ap]\.m\.\s*$")  # "4 p.m. ET": the sentence usually continues
_THINK_TAGS = ("<think>", "</think>")  # some models output their reasoning, which is not part of the answer
_MAX_LINE_CHARS = 4_000  # longer text without an end is not a sentence; the rest of the line is skipped
_OPENING = re.compile(r"\s*(?:the |final )*answer(?: is)?\s*:\s*", re.IGNORECASE)
_MAX_JSON_CHARS = 20_000  # JSON is buffered up to this length, to be parsed as a whole
_TEXT_KEYS = ("answer", "text", "sentence", "claim", "response", "content", "output")


class CitedSentence(NamedTuple):
    """A sentence that a model wrote.

    Args:
        text: the sentence without citation markers and markup.
        cited: numbers of the cited passages, in order.
        complete: False if the sentence was cut off.
    """

    text: str
    cited: tuple[int, ...] = ()
    complete: bool = True


class StreamingAnswerParser:
    """Incremental parser that yields each sentence as soon as its end is certain."""

    def __init__(self, passages: int) -> None:
        """Start with an empty answer.

        Args:
            passages: number of passages in the prompt; other numbers in parentheses are not citations.
        """
        self._passages = passages
        self._is_started = False  # True once this is known to be text, not JSON or reasoning
        self._head = ""  # text before that was known
        self._line = ""
        self._pending = ""  # the last sentence so far: its markers may follow
        self._rows: list[str] = []

    def feed(self, text: str) -> Iterator[CitedSentence]:
        """Parse the next chunk of the answer, and yield the sentences that are now certain."""
        for char in text:
            yield from self._feed_char(char)

    def close(self, *, cut: bool = False) -> Iterator[CitedSentence]:
        """Finish parsing, and yield the remaining sentences.

        Args:
            cut: True if the answer was cut off, so that its last sentence is incomplete.
        """
        if not self._is_started and self._head.strip():
            yield from self._parse_head(cut)
            return
        yield from self._end_token("")
        yield from self._flush_pending(final=True)
        left, self._line = self._line, ""
        if cut:
            left = _CUT_MARK.sub("", left)
        if _TABLE_ROW.match(left):
            self._rows.append(left)
        elif left:
            yield from self._claims(left, complete=not cut or bool(_ENDS.search(left)))
        yield from self._end_table(cut)

    def _feed_char(self, char: str) -> Iterator[CitedSentence]:
        if not self._is_started:
            yield from self._detect_format(char)
        elif char == "\n":
            yield from self._end_line()
        elif len(self._line) >= _MAX_LINE_CHARS:
            return
        elif char.isspace():
            yield from self._end_token(char)
        else:
            self._line += char

    def _detect_format(self, char: str) -> Iterator[CitedSentence]:
        """Buffer the answer until its format is known: JSON is parsed as a whole, reasoning is skipped."""
        self._head = head = (self._head + char).lstrip()
        if head.startswith(_THINK_TAGS[0]):  # skip everything up to its end
            self._head = (
                "" if head.endswith(_THINK_TAGS[1]) else _THINK_TAGS[0] + head[len(_THINK_TAGS[0]) :][-8:]
            )
        elif len(head) > _MAX_JSON_CHARS or _is_text(head):
            self._is_started, text, self._head = True, self._head, ""
            for earlier in text:
                yield from self._feed_char(earlier)

    def _parse_head(self, cut: bool) -> Iterator[CitedSentence]:
        """Parse buffered JSON, or text that was too short to recognize."""
        text = re.sub(r"^\s*```\w*\s*|\s*```\s*$", "", self._head)
        if text.lstrip().startswith(_THINK_TAGS[0]):
            return
        try:
            yield from list(_parse_json(json.loads(text), self._passages))
        except (ValueError, RecursionError):  # not JSON, or nested too deeply
            yield from self._claims(
                text, complete=not cut and not text.lstrip().startswith(("{", "[{", '["'))
            )

    def _end_token(self, space: str) -> Iterator[CitedSentence]:
        """Split the line if the token that has just ended starts a sentence."""
        yield from self._flush_pending(final=False)
        if self._line.strip() and not _TABLE_ROW.match(self._line):
            yield from self._end_table()
        if (
            self._pending
            or _TABLE_ROW.match(self._line)
            or _FENCE.match(self._line)
            or self._line.lstrip().startswith("#")
        ):
            self._line += space
            return
        token = re.search(r"\S+$", self._line)
        if token and _begins_sentence(self._line, token.start()):
            yield from self._claims(self._line[: token.start()])
            self._line = self._line[token.start() :]
        self._line += space

    def _end_line(self) -> Iterator[CitedSentence]:
        yield from self._end_token("")
        line = self._line
        if not _TABLE_ROW.match(line):
            yield from self._end_table()
        if not line.strip():  # an empty line ends any sentence before it
            yield from self._flush_pending(final=True)
            self._line = ""
        elif _TABLE_ROW.match(line):
            yield from self._flush_pending(final=True)
            self._rows.append(line)
            self._line = ""
        elif _FENCE.match(line) or _NO_CLAIM.fullmatch(line):
            yield from self._flush_pending(final=True)
            self._line = ""
        elif self._pending:
            self._line += " "  # not yet known if this line continues the pending sentence
        else:
            self._pending, self._line = line, ""

    def _flush_pending(self, *, final: bool) -> Iterator[CitedSentence]:
        """Join the line to the pending sentence if it continues it, or yield the pending sentence.

        Args:
            final: True to decide now, because nothing more can follow on the line.
        """
        if not self._pending:
            return
        if marks := _BEGINS_WITH_MARKS.match(self._line):
            self._pending, self._line = self._pending + marks[0], self._line[marks.end() :]
        rest = self._line.strip()
        if not final and (not rest or _UNFINISHED_MARK.fullmatch(rest)):
            return
        if rest[:1].islower() and not _ENDS.search(self._pending):
            self._line, self._pending = f"{self._pending} {self._line.lstrip()}", ""
            return
        pending, self._pending = self._pending, ""
        yield from self._claims(pending)

    def _end_table(self, cut: bool = False) -> Iterator[CitedSentence]:
        rows, self._rows = self._rows, []
        rules = [n for n, row in enumerate(rows) if _TABLE_RULE.fullmatch(row)]
        body = rows[rules[0] + 1 :] if rules else rows
        for n, row in enumerate(body):
            cells = [cell.strip() for cell in row.strip().strip("|").split("|")]
            yield from self._claims(", ".join(filter(None, cells)), complete=not (cut and n == len(body) - 1))

    def _claims(self, raw: str, *, complete: bool = True) -> Iterator[CitedSentence]:
        if _NO_CLAIM.fullmatch(raw):
            return
        text, cited = split_citation_markers(raw[_LIST.match(raw).end() :], self._passages)  # type: ignore[union-attr]  # matches ""
        text = strip_markup(_OPENING.sub("", text, count=1) if _OPENING.match(text) else text)
        if re.search(r"\w", text):
            yield CitedSentence(text, cited, complete and len(raw) < _MAX_LINE_CHARS)


def _is_text(head: str) -> bool:
    """Return True if an answer with this beginning is certainly text."""
    inside = re.sub(r"^```\w*\s*", "", head)
    if not inside or "```".startswith(inside) or _THINK_TAGS[0].startswith(inside):
        return False
    if inside.startswith((*_THINK_TAGS[:1], "{")):
        return False
    if head.startswith("```") and "\n" not in head:
        return False
    return not re.match(r"\[\s*(?:$|[{\"])", inside)


def _begins_sentence(line: str, at: int) -> bool:
    """Return True if the token at this offset starts a sentence, after all markers of the previous one."""
    before, token = line[:at], line[at:]
    begin = _LIST.match(before).end()  # type: ignore[union-attr]  # matches ""
    ended = _ENDS.search(before, begin)
    if not ended or not re.search(r"\w", before[begin:]) or _is_inside_quote(before):
        return False
    if token[0].islower() or _UNFINISHED_MARK.fullmatch(token) or _BEGINS_WITH_MARKS.fullmatch(token):
        return False
    if _MARKED_END.search(before):
        return True
    return not _HOUR.search(before) and _is_sentence_boundary(before[begin:].rstrip(), token)


def _is_sentence_boundary(before: str, token: str) -> bool:
    """Return True if the sentence splitter for articles, which handles abbreviations, finds a boundary here."""
    word = token.lstrip("*_“”\"‘'([") or token
    spans = split_sentences(f"{before} {word}")
    return len(spans) > 1 and spans[-1].start >= len(before)


def _is_inside_quote(text: str) -> bool:
    curly = text.count("“") + text.count("„") - text.count("”")
    return curly > 0 or text.count('"') % 2 == 1


def _parse_json(value: Any, passages: int) -> Iterator[CitedSentence]:
    """Yield the sentences of an answer in JSON: text under a common key, with citations in a list next to it."""
    if isinstance(value, str):
        parser = StreamingAnswerParser(passages)
        yield from [*parser.feed(value), *parser.close()]
    elif isinstance(value, list):
        for item in value:
            yield from _parse_json(item, passages)
    elif isinstance(value, dict):
        citations = tuple(dict.fromkeys(_iter_numbers([v for v in value.values() if isinstance(v, list)])))
        answer = next((value[key] for key in _TEXT_KEYS if key in value), None)
        inner = [answer] if answer is not None else [v for v in value.values() if isinstance(v, list | dict)]
        for claim in _parse_json(inner, passages):
            yield claim if claim.cited else claim._replace(cited=citations)


def _iter_numbers(value: Any) -> Iterator[int]:
    for item in value if isinstance(value, list) else ():
        if isinstance(item, int) and not isinstance(item, bool):
            yield item
        elif isinstance(item, str) and item.strip("[]^ ").isdigit():
            yield int(item.strip("[]^ "))
        elif isinstance(item, list):
            yield from _iter_numbers(item)
