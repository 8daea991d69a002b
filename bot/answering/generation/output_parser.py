"""Reads what chat models write: sentences with the numbers of the passages they cite, whatever the dress.

Text is taken in character by character, and every decision depends on the characters so far alone: however
a stream cuts an answer into chunks, the claims are the same.
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
# What has no sentence in it: headings, rules between parts, and the list of sources that some models add.
_NO_CLAIM = re.compile(
    r"\s*(?:#{1,6}\s.*|\*\*[^*.!?]+\*\*:?|__[^_.!?]+__:?|[-*_=]{3,}|\[\^?\d+\]:.*|"
    r"\W*(?:sources?|references?|citations?|answer|summary)\W*)",
    re.IGNORECASE,
)
_ROW = re.compile(r"\s*\|")
_RULE = re.compile(r"[\s|:-]+")
_MARKS = (
    r"(?:\s*(?:\[\[?[^\[\]\n]{1,40}\]\]?(?:\([^()\s]*\))?|【[^】\n]{1,40}】|\(\d{1,2}(?:\s*,\s*\d{1,2})*\)))"
)
_BEGINS_WITH_MARKS = re.compile(rf"{_MARKS}+")
_UNFINISHED_MARK = re.compile(r"\s*[\[【(][^\]】)\n]{0,40}")
_CUT_MARK = re.compile(r"\s*[\[【][^\]】\n]{0,40}$")
_ENDS = re.compile(rf"[.!?…][\"'”’»)*_]*{_MARKS}*\s*$|{_MARKS}\s*[.!?…][\"'”’»)*_]*\s*$")
_MARKED_END = re.compile(
    rf"{_MARKS}\s*[.!?…]?[\"'”’»)*_]*\s*$"
)  # whatever abbreviation stands before the mark
_HOUR = re.compile(r"\b[ap]\.m\.\s*$")  # "4 p.m. ET": more often than not the sentence goes on
_THOUGHT = ("<think>", "</think>")  # how some models show their reasoning, which is no answer
_LONGEST = 4_000  # characters: what has no end by then is no sentence, and the rest of its line is not read
_OPENING = re.compile(r"\s*(?:the |final )*answer(?: is)?\s*:\s*", re.IGNORECASE)
_LONGEST_JSON = 20_000  # characters that are waited for to be read as a whole
_TEXT_KEYS = ("answer", "text", "sentence", "claim", "response", "content", "output")


class CitedSentence(NamedTuple):
    """A sentence that a model wrote, without its marks; `cited` are the numbers they held, in their order.

    `complete` is False for what was cut off in the middle.
    """

    text: str
    cited: tuple[int, ...] = ()
    complete: bool = True


class StreamingAnswerParser:
    """Takes an answer in as it is written, and gives each claim as soon as it is certain where it ends."""

    def __init__(self, passages: int) -> None:
        """`passages` were numbered in the prompt, from 1: what else stands in round brackets is no citation."""
        self._passages = passages
        self._begun = False  # whether it is known that this is text, not JSON and not a thought
        self._head = ""  # what came before that was known
        self._line = ""
        self._pending = ""  # the last sentence so far: marks for it may follow
        self._rows: list[str] = []

    def feed(self, text: str) -> Iterator[CitedSentence]:
        """Take the next piece of the answer in; yield the claims that are certain now."""
        for char in text:
            yield from self._take(char)

    def close(self, *, cut: bool = False) -> Iterator[CitedSentence]:
        """Yield what is left; `cut`: the answer did not end by itself, and its last sentence is no whole one."""
        if not self._begun and self._head.strip():
            yield from self._unwrapped(cut)
            return
        yield from self._end_of_token("")
        yield from self._flush_pending(final=True)
        left, self._line = self._line, ""
        if cut:
            left = _CUT_MARK.sub("", left)
        if _ROW.match(left):
            self._rows.append(left)
        elif left:
            yield from self._claims(left, complete=not cut or bool(_ENDS.search(left)))
        yield from self._end_of_table(cut)

    def _take(self, char: str) -> Iterator[CitedSentence]:
        if not self._begun:
            yield from self._begin(char)
        elif char == "\n":
            yield from self._end_of_line()
        elif len(self._line) >= _LONGEST:
            return
        elif char.isspace():
            yield from self._end_of_token(char)
        else:
            self._line += char

    def _begin(self, char: str) -> Iterator[CitedSentence]:
        """Wait until it is known what this is: JSON and thoughts are read as a whole."""
        self._head = head = (self._head + char).lstrip()
        if head.startswith(_THOUGHT[0]):  # its end is all that is waited for
            self._head = "" if head.endswith(_THOUGHT[1]) else _THOUGHT[0] + head[len(_THOUGHT[0]) :][-8:]
        elif len(head) > _LONGEST_JSON or _is_text(head):
            self._begun, text, self._head = True, self._head, ""
            for earlier in text:
                yield from self._take(earlier)

    def _unwrapped(self, cut: bool) -> Iterator[CitedSentence]:
        """Read JSON, or what stayed too short to tell."""
        text = re.sub(r"^\s*```\w*\s*|\s*```\s*$", "", self._head)
        if text.lstrip().startswith(_THOUGHT[0]):
            return
        try:
            yield from list(_json_claims(json.loads(text), self._passages))
        except (ValueError, RecursionError):  # no JSON, or nested to no end
            yield from self._claims(
                text, complete=not cut and not text.lstrip().startswith(("{", "[{", '["'))
            )

    def _end_of_token(self, space: str) -> Iterator[CitedSentence]:
        """Part the line where the token that has just ended begins a sentence."""
        yield from self._flush_pending(final=False)
        if self._line.strip() and not _ROW.match(self._line):
            yield from self._end_of_table()
        if (
            self._pending
            or _ROW.match(self._line)
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

    def _end_of_line(self) -> Iterator[CitedSentence]:
        yield from self._end_of_token("")
        line = self._line
        if not _ROW.match(line):
            yield from self._end_of_table()
        if not line.strip():  # an empty line ends whatever was before it
            yield from self._flush_pending(final=True)
            self._line = ""
        elif _ROW.match(line):
            yield from self._flush_pending(final=True)
            self._rows.append(line)
            self._line = ""
        elif _FENCE.match(line) or _NO_CLAIM.fullmatch(line):
            yield from self._flush_pending(final=True)
            self._line = ""
        elif self._pending:
            self._line += " "  # still not known whether this goes on from it
        else:
            self._pending, self._line = line, ""

    def _flush_pending(self, *, final: bool) -> Iterator[CitedSentence]:
        """Join what now stands in the line to the sentence before it, or let that go."""
        if not self._pending:
            return
        if marks := _BEGINS_WITH_MARKS.match(self._line):
            self._pending, self._line = self._pending + marks[0], self._line[marks.end() :]
        begun = self._line.strip()
        if not final and (not begun or _UNFINISHED_MARK.fullmatch(begun)):
            return
        if begun[:1].islower() and not _ENDS.search(self._pending):
            self._line, self._pending = f"{self._pending} {self._line.lstrip()}", ""
            return
        held, self._pending = self._pending, ""
        yield from self._claims(held)

    def _end_of_table(self, cut: bool = False) -> Iterator[CitedSentence]:
        rows, self._rows = self._rows, []
        rules = [n for n, row in enumerate(rows) if _RULE.fullmatch(row)]
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
            yield CitedSentence(text, cited, complete and len(raw) < _LONGEST)


def _is_text(head: str) -> bool:
    """Say whether an answer that begins like this is certain to be text."""
    inside = re.sub(r"^```\w*\s*", "", head)
    if not inside or "```".startswith(inside) or _THOUGHT[0].startswith(inside):
        return False
    if inside.startswith((*_THOUGHT[:1], "{")):
        return False
    if head.startswith("```") and "\n" not in head:
        return False
    return not re.match(r"\[\s*(?:$|[{\"])", inside)


def _begins_sentence(line: str, at: int) -> bool:
    """Say whether the token at this place is the first of a sentence, and marks of the last one are over."""
    before, token = line[:at], line[at:]
    begin = _LIST.match(before).end()  # type: ignore[union-attr]  # matches ""
    ended = _ENDS.search(before, begin)
    if not ended or not re.search(r"\w", before[begin:]) or _is_inside_quote(before):
        return False
    if token[0].islower() or _UNFINISHED_MARK.fullmatch(token) or _BEGINS_WITH_MARKS.fullmatch(token):
        return False
    if _MARKED_END.search(before):
        return True
    return not _HOUR.search(before) and _splits(before[begin:].rstrip(), token)


def _splits(before: str, token: str) -> bool:
    """Ask the splitter of articles, which knows abbreviations, whether a sentence ends here."""
    word = token.lstrip("*_“”\"‘'([") or token
    spans = split_sentences(f"{before} {word}")
    return len(spans) > 1 and spans[-1].start >= len(before)


def _is_inside_quote(text: str) -> bool:
    curly = text.count("“") + text.count("„") - text.count("”")
    return curly > 0 or text.count('"') % 2 == 1


def _json_claims(value: Any, passages: int) -> Iterator[CitedSentence]:
    """Read an answer that a model has put into JSON: text under a usual name, citations beside it."""
    if isinstance(value, str):
        parser = StreamingAnswerParser(passages)
        yield from [*parser.feed(value), *parser.close()]
    elif isinstance(value, list):
        for item in value:
            yield from _json_claims(item, passages)
    elif isinstance(value, dict):
        beside = tuple(dict.fromkeys(_numbers([v for v in value.values() if isinstance(v, list)])))
        named = next((value[key] for key in _TEXT_KEYS if key in value), None)
        inner = [named] if named is not None else [v for v in value.values() if isinstance(v, list | dict)]
        for claim in _json_claims(inner, passages):
            yield claim if claim.cited else claim._replace(cited=beside)


def _numbers(value: Any) -> Iterator[int]:
    for item in value if isinstance(value, list) else ():
        if isinstance(item, int) and not isinstance(item, bool):
            yield item
        elif isinstance(item, str) and item.strip("[]^ ").isdigit():
            yield int(item.strip("[]^ "))
        elif isinstance(item, list):
            yield from _numbers(item)
