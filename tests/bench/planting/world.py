"""What one who answers reads in a prompt: the question, the passages, and the sentences that can be taken from them."""

from __future__ import annotations

import html
import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bot.answering.quote_ranking import is_quotable
from bot.articles.chunking import split_sentences

WORD = re.compile(r"[^\W_]+(?:[’'-][^\W_]+)*")
_QUOTED = re.compile(r"“[^“”]*”|\"[^\"]*\"")
_PASSAGE = re.compile(r"<passage\s+([^>]*)>\n(.*?)\n</passage", re.DOTALL)
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_QUESTION = re.compile(r"<question[^>]*>\n(.*?)\n</question", re.DOTALL)
_UNUSABLE = re.compile(r"[\[\]{}<>|#*_`]|https?:|\(CNN")
_ENDS = re.compile(r"[.!][”\"’]?$")


class Passage(NamedTuple):
    """A passage of the prompt; `article` is all that its fence says of where it comes from."""

    n: int
    article: str
    text: str

    @property
    def known(self) -> str:
        """All that a reader of it can know: the text, and what stands in its fence."""
        return f"{self.article}\n{self.text}"

    @property
    def words(self) -> set[str]:
        return {word.casefold() for word in WORD.findall(self.known)}


class Line(NamedTuple):
    """A sentence of a passage, and the one after it."""

    passage: Passage
    text: str
    following: str

    def without(self, text: str) -> Line:
        """Return the line as it is where that text is used up."""
        return self._replace(following="") if self.following and self.following in text else self


class World(NamedTuple):
    """All that the one who answers knows."""

    question: str
    passages: Sequence[Passage]
    chance: random.Random

    def elsewhere(self, passage: Passage) -> list[Passage]:
        return [other for other in self.passages if other.article != passage.article]

    def is_ordinary(self, word: str) -> bool:
        """Say whether some passage writes this word in lower case: then it is no name."""
        return any(re.search(rf"\b{re.escape(word.lower())}\b", passage.text) for passage in self.passages)


# Makes a sentence out of a line, where it can.
Make = Callable[[Line, World], str | None]


def read_prompt(prompt: str) -> World:
    """Read question and passages from the fences of a prompt."""
    passages = []
    for attributes, text in _PASSAGE.findall(prompt):
        named = {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(attributes)}
        article = "\n".join(value for name, value in named.items() if name not in ("n", "id"))
        passages.append(Passage(int(named["n"]), article, text))
    found = _QUESTION.search(prompt) or re.search(r"Question:\s*(.+)", prompt)
    question = found[1].strip() if found else prompt.strip()
    return World(question, passages, random.Random(question))


def lines_of(world: World) -> list[Line]:
    """Return the whole sentences of the passages, nearest to the question first."""
    return sorted(_lines(world), key=lambda line: -_nearness(line, world.question))


def _lines(world: World) -> Iterator[Line]:
    for passage in world.passages:
        spans = split_sentences(passage.text)
        texts = [passage.text[span.start : span.end] for span in spans]
        for text, following in zip(texts, [*texts[1:], ""], strict=True):
            if is_quotable(text) and usable(text) and text[0].isalnum() | (text[0] in '“"'):
                yield Line(passage, text, following if following and usable(following) else "")


def _nearness(line: Line, question: str) -> float:
    asked = content(question)
    return len(asked & content(line.text)) / (len(asked) or 1) - 0.03 * line.passage.n


def usable(text: str) -> bool:
    """Say whether this is one sentence however it is split, with its quotations whole."""
    quotes = text.count("“") == text.count("”") and text.count('"') % 2 == 0
    whole = quotes and bool(_ENDS.search(text)) and not _UNUSABLE.search(text)
    return whole and 5 <= len(text.split()) <= 70 and len(split_sentences(text)) == 1


def content(text: str) -> set[str]:
    """Return the beginnings of the longer words: what a text is about."""
    return {word.casefold()[:6] for word in WORD.findall(text) if len(word) > 3 or word[0].isdigit()}


def quotations(text: str) -> Iterator[re.Match[str]]:
    """Yield the quotations in a text, with their marks."""
    return _QUOTED.finditer(text)


def without_quotations(text: str) -> str:
    """Return a text of the same length in which nothing quoted can be found."""
    return _QUOTED.sub(lambda quoted: "“" * len(quoted[0]), text)


def put(text: str, spot: re.Match[str], words: str) -> str:
    """Return the text with other words in that spot."""
    return text[: spot.start()] + words + text[spot.end() :]
