"""Makes true and false sentences out of articles: a sentence changed a little, and one thing in it made wrong."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from bot.answers.claims.dates import dates
from bot.answers.claims.names import names
from bot.answers.claims.quotations import quotations
from bot.answers.sentences import is_quotable
from bot.articles.article import Article
from bot.articles.passages import Passage, split_passages, split_sentences

_WORD = re.compile(r"[^\W\d_]{4,}")
_NUMBER = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\w,])|(?<![\w.,:-])\d+(?:\.\d+)?(?![\w:-]|[.,]\d)")
_CLAUSE = re.compile(
    r", (?:who|which|where|whose|when|including|according to|while|after|as|with) [^,.\"“”]*,"
)
_TAIL = re.compile(
    r", (?:who|which|where|whose|when|including|according to|while|after|as|with) [^,\"“”]*(?=\.$)"
)
_SAID = re.compile(r"^(?P<what>[^\"“”]{30,}), [^,\"“”]{3,60} (?:said|told [^,\"“”]{3,30})(?: on \w+)?\.$")
_LEAD = re.compile(
    r"^(?P<lead>(?:In|On|At|After|During|For|Since|By|According to) [^,\"“”]{4,60}), (?P<rest>[^\"“”]{30,})\.$"
)
_SYNONYMS = {" said ": " stated ", " also ": " ", " nearly ": " almost ", " begin ": " start ", " people ": " persons ",
             " because ": " since ", " however": "", " more than ": " over ", " but ": " though "}  # fmt: skip
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|has|have|had|will|would|can|could|should|may|might|must)\b(?! not)"
)
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


class Planted(NamedTuple):
    """A sentence, the text it cites, what else counts (title, outlet, date), and the kind of what is wrong."""

    kind: str
    sentence: str
    source: str
    context: str


def plant(articles: Sequence[Article], *, seed: int = 0) -> Iterator[Planted]:
    """Yield for each article true sentences and wrong ones, the same ones for the same seed."""
    chance = random.Random(seed)
    passages = {article.id: split_passages(article.id, 1, article.text) for article in articles}
    for article in articles:
        other = passages[chance.choice([a for a in articles if a.id != article.id]).id]
        for passage in chance.sample(passages[article.id], min(3, len(passages[article.id]))):
            yield from _of_passage(article, passage, passages[article.id], other, chance)


def _of_passage(
    article: Article,
    passage: Passage,
    same: Sequence[Passage],
    other: Sequence[Passage],
    chance: random.Random,
) -> Iterator[Planted]:
    context = (
        f"{article.title} {article.source} {article.published:%Y-%m-%d}"
        if article.published
        else article.title
    )
    sentences = _sentences(passage.text)
    if not sentences or not other:
        return
    true = [text for sentence in sentences for text in _true(sentence)]
    true += [
        f"{a.rstrip('.')}, and {b}" for a, b in pairwise(sentences) if next(quotations(a + b), None) is None
    ]
    for kind, sentence in chance.sample([*zip(["true"] * len(true), true, strict=True)], min(3, len(true))):
        yield Planted(kind, sentence, passage.text, context)
        for wrong, spoil in _SPOILERS.items():
            spoilt = spoil(sentence, f"{passage.text} {context}", other, chance)
            if spoilt:
                yield Planted(wrong, spoilt, passage.text, context)
        yield Planted("wrong passage", sentence, chance.choice(other).text, context)
        elsewhere = [p for p in same if p.id != passage.id]
        if elsewhere:
            yield Planted("passage near by", sentence, chance.choice(elsewhere).text, context)
    foreign = _sentences(chance.choice(other).text)
    if foreign:
        yield Planted("invented", _about(chance.choice(foreign), passage.text, chance), passage.text, context)


def _sentences(text: str) -> list[str]:
    every = [text[span.start : span.end] for span in split_sentences(text)]
    return [sentence for sentence in every if is_quotable(sentence) and len(sentence.split()) > 7]


def _true(sentence: str) -> Iterator[str]:
    """Yield what still is true: shortened, turned round, with another word for the same."""
    quotes = next(quotations(sentence), None) is not None  # a quotation is not to be shortened
    shorter = sentence if quotes else _CLAUSE.sub("", sentence, count=1)
    yield shorter if len(shorter.split()) > 7 else sentence
    cut = sentence if quotes else _TAIL.sub("", sentence)
    if cut != sentence and len(cut.split()) > 7:
        yield cut
    if match := _SAID.match(sentence):
        yield f"{match['what']}."
    if match := _LEAD.match(sentence):
        yield f"{match['rest'][0].upper()}{match['rest'][1:]} {match['lead'][0].lower()}{match['lead'][1:]}."
    other = sentence
    if not quotes:
        for word, same in _SYNONYMS.items():
            other = other.replace(word, same)
    yield other


def _wrong_number(sentence: str, around: str, _: Sequence[Passage], chance: random.Random) -> str | None:
    inside = [span for dated in dates(sentence) for span in [dated.span]]
    found = [m for m in _NUMBER.finditer(sentence) if not any(a <= m.start() < b for a, b in inside)]
    if not found:
        return None
    match = chance.choice(found)
    digits = [at for at in range(*match.span()) if sentence[at].isdigit()]
    at = chance.choice(digits)
    digit = chance.choice([d for d in "123456789" if d != sentence[at]])
    spoilt = sentence[:at] + digit + sentence[at + 1 :]
    shown = _NUMBER.search(spoilt, match.start())
    return None if shown is None or re.search(rf"(?<!\d){re.escape(shown[0])}(?!\d)", around) else spoilt


def _wrong_date(sentence: str, around: str, _: Sequence[Passage], chance: random.Random) -> str | None:
    found = dates(sentence)
    if not found:
        return None
    dated = chance.choice(found)
    words = sentence[dated.span.start : dated.span.end]
    pattern, choices = (
        (r"[A-Z]\w+day", _DAYS) if dated.weekday is not None
        else (r"\b[A-Z][a-z]+\b", _MONTHS) if dated.month and chance.random() < 0.5
        else (r"\d{1,2}(?!\d)", [str(day) for day in range(1, 29)]) if dated.day
        else (r"\d{4}", [str(year) for year in range(1990, 2030)])
    )  # fmt: skip
    match = re.search(pattern, words)
    free = [choice for choice in choices if not re.search(rf"\b{choice}\b", around)]
    if not match or not free:
        return None
    return (
        sentence[: dated.span.start]
        + words.replace(match[0], chance.choice(free), 1)
        + sentence[dated.span.end :]
    )


def _wrong_name(sentence: str, around: str, other: Sequence[Passage], chance: random.Random) -> str | None:
    own = [name for name in names(sentence) if not name.initial and len(name.word) > 3]
    pool = [
        name.word
        for passage in other
        for name in names(passage.text)
        if not name.initial and len(name.word) > 3
    ]
    pool = [word for word in pool if word[0].isupper() and word.casefold() not in around.casefold()]
    if not own or not pool:
        return None
    return re.sub(rf"\b{re.escape(chance.choice(own).word)}\b", chance.choice(pool), sentence, count=1)


def _wrong_quotation(
    sentence: str, around: str, other: Sequence[Passage], chance: random.Random
) -> str | None:
    words = [word for quotation in quotations(sentence) for word in _WORD.findall(quotation)]
    pool = [
        word
        for passage in other
        for word in _WORD.findall(passage.text)
        if word.islower() and word not in around
    ]
    if not words or not pool:
        return None
    quotation = chance.choice([quotation for quotation in quotations(sentence) if _WORD.search(quotation)])
    word = chance.choice(_WORD.findall(quotation))
    return sentence.replace(quotation, quotation.replace(word, chance.choice(pool), 1), 1)


def _negated(sentence: str, _: str, __: Sequence[Passage], chance: random.Random) -> str | None:
    found = list(_AUXILIARY.finditer(sentence))
    if not found:
        return None
    at = chance.choice(found).end()
    return f"{sentence[:at]} not{sentence[at:]}"


def _about(sentence: str, text: str, chance: random.Random) -> str:
    """Put a name of `text` into a sentence about something else."""
    own = [name.word for name in names(sentence) if not name.initial]
    there = [name.word for name in names(text) if not name.initial]
    return sentence.replace(chance.choice(own), chance.choice(there), 1) if own and there else sentence


_SPOILERS: dict[str, Callable[[str, str, Sequence[Passage], random.Random], str | None]] = {
    "number": _wrong_number,
    "date": _wrong_date,
    "name": _wrong_name,
    "quotation": _wrong_quotation,
    "negated": _negated,
}
