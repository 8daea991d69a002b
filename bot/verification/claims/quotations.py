"""Quotation and verbatim matching: text in quotation marks must be in the source word for word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from bot.articles.chunking import Span, split_sentences

_WORD = re.compile(r"\w+(?:['’ʼ]\w+)*")
_BRACKET = re.compile(r"\[[^\]]*\]")
# An ellipsis, or words replaced in brackets.
_OMISSION = re.compile(r"\[[^\]]*\]|\(\s*(?:\.\s*){3}\)|\.(?:\s?\.){2,}|…")
_MARK = re.compile(r"[\"“”„‟«»＂]")
# In single curly marks, at least three words: a shorter match may be due to apostrophes.
_SINGLE = re.compile(r"(?<!\w)‘((?:[^‘’]|(?<=\w)’(?=\w))+)’(?!\w)")
_APOSTROPHE = re.compile("['’ʼ]")
_MIN_SINGLE_QUOTED_WORDS = 3
_MIN_CLAUSE_WORDS = 4  # of a part of a sentence; a complete sentence may be shorter
_SPACES = re.compile(r"[\s\u00a0\u200b]+")
_MARKS = str.maketrans("“”„‟«»＂‘’‚‛´`–—‑‐", '"""""""\'\'\'\'\'\'----')
_FINAL_PUNCTUATION = ".!?… "
_CLAUSE = (
    r"^|[,;:(\"'-] ?"  # positions at which a part may start: text before other positions might negate it
)


def missing_quotations(sentence: str, texts: Sequence[str]) -> list[str]:
    """Return the quotations of `sentence` whose words none of the texts contains in the same order."""
    return [
        quotation
        for quotation in quotations(sentence)
        if not any(_contains(text, quotation) for text in texts)
    ]


def quotations(sentence: str) -> Iterator[str]:
    """Yield the text between quotation marks; an unmatched mark extends to the start or end of the sentence."""
    start: int | None = None
    opened = False
    for match in _MARK.finditer(sentence):
        opens = _is_opening(sentence, match, inside=start is not None)
        if start is not None and not opens:
            yield sentence[start : match.start()]
            start = None
        elif opens:
            if start is not None:  # a nested quotation
                yield sentence[start : match.start()]
            start, opened = match.end(), True
        elif not opened and _is_closing(sentence, match):
            yield sentence[: match.start()]
            opened = True
    if start is not None:
        yield sentence[start:]
    for match in _SINGLE.finditer(sentence):
        if len(_WORD.findall(match[1])) >= _MIN_SINGLE_QUOTED_WORDS:
            yield match[1]


def _is_opening(sentence: str, mark: re.Match[str], *, inside: bool) -> bool:
    if mark[0] in "“„«":
        return True
    if mark[0] in "”»" or inside:
        return False
    before, after = sentence[: mark.start()][-1:], sentence[mark.end() :][:1]
    return (not before or not before.isalnum()) and bool(after) and not after.isspace()


def _is_closing(sentence: str, mark: re.Match[str]) -> bool:
    return not sentence[: mark.start()][-1:].isdigit()  # 5" is a length


def _contains(text: str, quotation: str) -> bool:
    at, words = 0, _words(text)
    if any(word not in words for bracket in _BRACKET.findall(quotation) for word in _words(bracket)):
        return False  # an editorial insertion must be elsewhere in the text
    for part in _OMISSION.split(quotation):
        found = _find_end(words, _words(part), at)
        if found is None:
            return False
        at = found
    return True


def _find_end(words: Sequence[str], part: Sequence[str], start: int) -> int | None:
    """Return the index after the first occurrence of `part` in `words` from `start`, or None."""
    for at in range(start, len(words) - len(part) + 1):
        if words[at : at + len(part)] == part:
            return at + len(part)
    return None


@lru_cache(maxsize=512)  # the same passage is searched for several sentences
def _words(text: str) -> tuple[str, ...]:
    return tuple(_APOSTROPHE.sub("", word).casefold() for word in _WORD.findall(text))


def find_verbatim(sentence: str, sources: Sequence[str]) -> tuple[int, Span] | None:
    """Return the index of the source that contains `sentence` verbatim and the span there, or None.

    The sentence may be a complete source sentence or a clause of one; the span is that of the source sentence. A
    quote of two or three sentences matches the same sentences in a row.
    """
    wanted = _normalize(sentence).rstrip(_FINAL_PUNCTUATION)
    if not wanted:
        return None
    first = re.escape(wanted[0])
    words = re.compile(rf"(?:{_CLAUSE})(?i:{first}){re.escape(wanted[1:])}(?!\w)")
    for at, source in enumerate(sources):
        for span, text in _sentences(source):
            found = words.search(text)
            if found and (len(wanted.split()) >= _MIN_CLAUSE_WORDS or found.span() == (0, len(text))):
                return at, span
        if in_a_row := _find_across_sentences(wanted, source):
            return at, in_a_row
    return None


def _find_across_sentences(wanted: str, source: str) -> Span | None:
    spans = [span for span, _ in _sentences(source)]
    for first, last in ((at, at + more) for more in (1, 2) for at in range(len(spans) - more)):
        whole = Span(spans[first].start, spans[last].end)
        if _normalize(source[whole.start : whole.end]).rstrip(_FINAL_PUNCTUATION) == wanted:
            return whole
    return None


@lru_cache(maxsize=512)
def _sentences(source: str) -> tuple[tuple[Span, str], ...]:
    return tuple(
        (span, _normalize(source[span.start : span.end]).rstrip(_FINAL_PUNCTUATION))
        for span in split_sentences(source)
    )


def _normalize(text: str) -> str:
    return _SPACES.sub(" ", text.translate(_MARKS)).strip()
