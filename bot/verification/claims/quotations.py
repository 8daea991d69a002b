"""Quotations: what stands in quotation marks has to stand in the text, word for word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from bot.articles.chunking import Span, split_sentences

_WORD = re.compile(r"\w+(?:['’ʼ]\w+)*")
_BRACKET = re.compile(r"\[[^\]]*\]")
_LEFT_OUT = re.compile(
    r"\[[^\]]*\]|\(\s*(?:\.\s*){3}\)|\.(?:\s?\.){2,}|…"
)  # by an ellipsis, or replaced in brackets
_MARK = re.compile(r"[\"“”„‟«»＂]")
# In single curly marks, at least three words: fewer may be an apostrophe's.
_SINGLE = re.compile(r"(?<!\w)‘((?:[^‘’]|(?<=\w)’(?=\w))+)’(?!\w)")
_APOSTROPHE = re.compile("['’ʼ]")
_FEWEST_SINGLE = 3
_FEWEST_WORDS = 4  # of a part of a sentence; a whole one may be shorter
_SPACES = re.compile(r"[\s\u00a0\u200b]+")
_MARKS = str.maketrans("“”„‟«»＂‘’‚‛´`–—‑‐", '"""""""\'\'\'\'\'\'----')
_END = ".!?… "
_CLAUSE = r"^|[,;:(\"'-] ?"  # where a part may begin: what stands before it might deny it


def missing_quotations(sentence: str, texts: Sequence[str]) -> list[str]:
    """Return the quotations of `sentence` whose words stand in none of these texts in that order."""
    return [
        quotation for quotation in quotations(sentence) if not any(_holds(text, quotation) for text in texts)
    ]


def quotations(sentence: str) -> Iterator[str]:
    """Yield what stands between quotation marks; a mark that nothing opens or closes reaches to the sentence's end."""
    start: int | None = None
    opened = False
    for match in _MARK.finditer(sentence):
        opens = _opens(sentence, match, inside=start is not None)
        if start is not None and not opens:
            yield sentence[start : match.start()]
            start = None
        elif opens:
            if start is not None:  # one within another
                yield sentence[start : match.start()]
            start, opened = match.end(), True
        elif not opened and _closes(sentence, match):
            yield sentence[: match.start()]
            opened = True
    if start is not None:
        yield sentence[start:]
    for match in _SINGLE.finditer(sentence):
        if len(_WORD.findall(match[1])) >= _FEWEST_SINGLE:
            yield match[1]


def _opens(sentence: str, mark: re.Match[str], *, inside: bool) -> bool:
    if mark[0] in "“„«":
        return True
    if mark[0] in "”»" or inside:
        return False
    before, after = sentence[: mark.start()][-1:], sentence[mark.end() :][:1]
    return (not before or not before.isalnum()) and bool(after) and not after.isspace()


def _closes(sentence: str, mark: re.Match[str]) -> bool:
    return not sentence[: mark.start()][-1:].isdigit()  # 5" is a length


def _holds(text: str, quotation: str) -> bool:
    at, words = 0, _words(text)
    if any(word not in words for bracket in _BRACKET.findall(quotation) for word in _words(bracket)):
        return False  # what an editor puts in is said elsewhere in the text
    for part in _LEFT_OUT.split(quotation):
        found = _place(words, _words(part), at)
        if found is None:
            return False
        at = found
    return True


def _place(words: Sequence[str], part: Sequence[str], start: int) -> int | None:
    """Return the place after `part` in `text_element`, searched for from `start`."""
    for at in range(start, len(words) - len(part) + 1):
        if words[at : at + len(part)] == part:
            return at + len(part)
    return None


@lru_cache(maxsize=512)  # a passage is searched for one sentence after the other
def _words(text: str) -> tuple[str, ...]:
    return tuple(_APOSTROPHE.sub("", word).casefold() for word in _WORD.findall(text))


def find_verbatim(sentence: str, sources: Sequence[str]) -> tuple[int, Span] | None:
    """Return the source that has `sentence`, whole or as a clause, and the span of its sentence there.

    What is in truth two or three sentences, as a quote may be, is found as those in a row.
    """
    wanted = _folded(sentence).rstrip(_END)
    if not wanted:
        return None
    first = re.escape(wanted[0])
    words = re.compile(rf"(?:{_CLAUSE})(?i:{first}){re.escape(wanted[1:])}(?!\w)")
    for at, source in enumerate(sources):
        for span, text in _sentences(source):
            found = words.search(text)
            if found and (len(wanted.split()) >= _FEWEST_WORDS or found.span() == (0, len(text))):
                return at, span
        if in_a_row := _find_across_sentences(wanted, source):
            return at, in_a_row
    return None


def _find_across_sentences(wanted: str, source: str) -> Span | None:
    spans = [span for span, _ in _sentences(source)]
    for first, last in ((at, at + more) for more in (1, 2) for at in range(len(spans) - more)):
        whole = Span(spans[first].start, spans[last].end)
        if _folded(source[whole.start : whole.end]).rstrip(_END) == wanted:
            return whole
    return None


@lru_cache(maxsize=512)
def _sentences(source: str) -> tuple[tuple[Span, str], ...]:
    return tuple(
        (span, _folded(source[span.start : span.end]).rstrip(_END)) for span in split_sentences(source)
    )


def _folded(text: str) -> str:
    return _SPACES.sub(" ", text.translate(_MARKS)).strip()
