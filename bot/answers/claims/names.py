"""Names: which of a sentence's capitalised words no text has, under that name or one that means the same."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bot.answers.claims.vocabulary import ALIASES, NO_NAMES
from bot.retrieval.words import analyze

_WORD = re.compile(r"\w+(?:['’](?!s\b)\w+)*")
_DOTTED = re.compile(r"\b(?:\w\.){2,}")
_BEGINS = re.compile(
    r"(?:^|[.?!:;•|]\s|[“”\"‘«(\[/]\s*|\s[-–—*]\s)\W*$"
)  # where any word may begin with a capital
_BETWEEN = re.compile(r"(?:[ -]|\. |['’]s )(?:of |the |and |de |van |von |al-|bin |& )?")
_LONGEST_ACRONYM = 6
_HEADLINE = 0.6  # of a sentence's longer words capitalised: capitals say nothing there
_LONGER = 4

_DEMONYM_ENDINGS = ("ians", "ian", "ans", "an", "ns", "n", "ese", "ish", "is", "i", "ic")


@dataclass(frozen=True, slots=True)
class Name:
    """One capitalised word of a name; `run` are all the words of that name, `at` its place in them."""

    word: str
    run: tuple[str, ...]
    at: int
    initial: bool  # it begins a sentence, where any word has a capital


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words of a text as names are looked up in it."""

    words: frozenset[str]
    stems: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    capitals: frozenset[str]
    initials: frozenset[str]


def missing_names(sentence: str, text: str) -> list[Name]:
    """Return the capitalised words of `sentence` that `text` has under no name."""
    known = _lexicon(text)
    return [name for name in names(sentence) if not _is_known(name, known)]


@lru_cache(maxsize=512)
def names(sentence: str) -> tuple[Name, ...]:
    """Return the words of names in `sentence`; none of a headline's, where every word has a capital."""
    sentence = _undotted(sentence)
    words = [match for match in _WORD.finditer(sentence) if not match[0][0].isdigit()]
    longer = [match for match in words if len(match[0]) >= _LONGER]
    if sum(_is_capital(match[0]) for match in longer) > max(2, _HEADLINE * len(longer)):
        return ()
    return tuple(name for run in _runs(sentence, words) for name in _names_of(sentence, run))


def _names_of(sentence: str, run: Sequence[re.Match[str]]) -> Iterator[Name]:
    folded = tuple(_folded(match[0]) for match in run)
    for at, match in enumerate(run):
        initial = at == 0 and _BEGINS.search(sentence[: match.start()]) is not None
        if folded[at] not in NO_NAMES and (len(folded[at]) > 1):
            yield Name(match[0], folded, at, initial and not match[0].isupper())


def _runs(sentence: str, words: Sequence[re.Match[str]]) -> Iterator[list[re.Match[str]]]:
    """Yield the capitalised words that stand side by side, or with "of" and the like between them."""
    run: list[re.Match[str]] = []
    for match in words:
        if not _is_capital(match[0]):
            continue
        if run and not _BETWEEN.fullmatch(sentence, run[-1].end(), match.start()):
            yield run
            run = []
        run.append(match)
    if run:
        yield run


def _is_capital(word: str) -> bool:
    return any(letter.isupper() for letter in word)


@lru_cache(maxsize=512)
def _lexicon(text: str) -> Lexicon:
    text = _undotted(text)
    found = [_folded(match[0]) for match in _WORD.finditer(text)]
    words = {*found, *(part for word in found for part in word.split("'"))}
    pairs = frozenset(itertools.pairwise(found))
    capitals = frozenset(_folded(match[0]) for match in _WORD.finditer(text) if match[0].isupper())
    return Lexicon(frozenset(words), frozenset(analyze(text)), pairs, capitals, frozenset(_initials(text)))


def _initials(text: str) -> Iterator[str]:
    """Yield "svb" for Silicon Valley Bank: the first letters of capitalised words in a row."""
    words = list(_WORD.finditer(text))
    for run in _runs(text, words):
        letters = "".join(match[0][0] for match in run).casefold()
        for start in range(len(letters)):
            yield from (letters[start:end] for end in range(start + 2, start + _LONGEST_ACRONYM + 1))


def _is_known(name: Name, known: Lexicon) -> bool:
    word = name.run[name.at]
    if _stands(word, known) or word in known.initials or _run_stands(name, known):
        return True
    if name.initial and len(name.run) == 1:
        return not _may_name(word)
    return False


def _stands(word: str, known: Lexicon) -> bool:
    if word in known.words or any(form in known.words for form in _forms(word)):
        return True
    if any(_phrase_stands(other, known) for other in ALIASES.get(word, ())):
        return True
    return any(stem in known.stems for stem in analyze(word)) or any(
        part in known.words for part in word.split("'")[:1]
    )


def _run_stands(name: Name, known: Lexicon) -> bool:
    """Say whether the whole name stands by its letters, another name of it, or its last word alone."""
    letters = "".join(word[0] for word in name.run)
    if len(letters) > 1 and letters in known.capitals:
        return True
    for other in ALIASES.get("-".join(name.run), ()):
        if _phrase_stands(other, known):
            return True
    return name.at < len(name.run) - 1 and _stands_alone(name.run[-1], known)


def _stands_alone(surname: str, known: Lexicon) -> bool:
    """Say whether the text has this surname, and nowhere after another first name."""
    if surname not in known.words:
        return False
    return not any(second == surname and _may_name(first) for first, second in known.pairs)


def _phrase_stands(phrase: str, known: Lexicon) -> bool:
    parts = phrase.split("-")
    if len(parts) == 1:
        return phrase in known.words
    return all(pair in known.pairs for pair in itertools.pairwise(parts))


def _forms(word: str) -> Iterator[str]:
    """Yield other spellings: of one or many, of a country and its people, of a foreign ending."""
    yield from (word + "s", word.removesuffix("s"), word.removesuffix("es"))
    yield word[:-1] + {"y": "i", "i": "y"}.get(word[-1], word[-1])
    yield from (word + "y", word.removesuffix("y"))
    for ending in _DEMONYM_ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LONGER:
            yield from (word.removesuffix(ending) + other for other in ("", "a", "e", "y", "o", "ia", "us"))
        if len(word) >= _LONGER:
            yield from (word + ending, word[:-1] + ending)


def _may_name(word: str) -> bool:
    """Say whether a sentence's first word may be a name: neither a common beginning nor built like one."""
    return word not in NO_NAMES and not re.search(
        r"(?:ly|ing|ed|ers|ors|ists|tions?|ments?|ness|als|ies)$", word
    )


def _undotted(text: str) -> str:
    return _DOTTED.sub(lambda match: match[0].replace(".", ""), text)


def _folded(word: str) -> str:
    if word == "US":
        return "usa"  # and not the pronoun
    plain = unicodedata.normalize("NFKD", word).replace("’", "'")
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold() or word
