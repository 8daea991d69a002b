"""Named-entity matching: find the capitalized words of a sentence that its source lacks, including aliases."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bot.indexing.bm25_index import analyze

_WORD = re.compile(r"\w+(?:['’](?!s\b)\w+)*")
_DOTTED = re.compile(r"\b(?:\w\.){2,}")
# In these positions any word may be capitalized.
_SENTENCE_START = re.compile(r"(?:^|[.?!:;•|]\s|[“”\"‘«(\[/]\s*|\s[-–—*]\s)\W*$")
_WITHIN_NAME = re.compile(r"[ -]|\. ")
_BETWEEN_INITIALS = re.compile(r"(?:[ -]|\. )(?:of |of the |for |and |& )?")
# The text after the first word of a sentence if that word is a name: "Paterson died", "Biden's", "LONDON — ".
_AFTER_NAME = re.compile(
    r"['’]s\b| [-–—]+ | (?:is|was|has|had|will|would|can|could|may|might|did|does|said|says|told|tells|added|asked|"
    r"(?!need|bas|relat|advanc|mix|limit|unit|us)[a-z]{2,}ed)\b"
)
_LOOKBACK_CHARS = 8  # characters
_MAX_ACRONYM_LETTERS = 6
# Share and number of the longer words that are capitalized in a headline: capitals are not informative there.
_HEADLINE_SHARE, _MIN_HEADLINE_WORDS = 0.6, 4
_MIN_LONG_WORD = 4

_DEMONYM_ENDINGS = ("ians", "ian", "ans", "an", "ns", "n", "ese", "ish", "is", "i", "ic")
# Titles, common first words of sentences and the calendar: other checks cover these.
_NON_NAME_WORDS = """
i mr mrs ms miss dr sir dame lord lady prof professor president vice prime minister king queen prince princess
pope chancellor senator sen rep representative governor gov mayor general gen captain colonel sergeant judge
justice secretary chairman chairwoman chief director ceo coach government parliament state city county
republic university company party department ministry north south east west northern southern eastern western
the a an and of in on at for to with by from as but or nor so yet if when while after before since because
although though however additionally furthermore moreover also overall meanwhile finally therefore thus
he she it they we you his her its their our your this that these those there here what who why how where which
some many most several all both each every other another no not according despite during following
then once one two three still even just only over under about within without through throughout until upon unlike
like instead later earlier last next first yes today yesterday tomorrow now such more less among between against
almost nearly again perhaps indeed whether who whose whom which is are was were do does did has have had can will
am pm ad bc est gmt mon tue wed thu fri sat sun jan feb mar apr jun jul aug sep sept oct nov dec
monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
september october november december spring summer autumn winter
"""
CAPITALIZED_NON_NAMES = frozenset(_NON_NAME_WORDS.split())
# The words of each line or column are aliases, including the adjectives; a hyphen is a space.
_ALIAS_TABLE = """
usa america american americans united-states
uk britain british britons great-britain united-kingdom
eu european-union bloc
un united-nations
uae emirates emirati united-arab-emirates
france french | spain spanish | netherlands dutch holland | wales welsh | ireland irish | england english
scotland scottish scots | greece greek greeks | germany german | denmark danish danes | sweden swedish swedes
finland finnish finns | norway norwegian | poland polish poles | turkey turkish turks turkiye
switzerland swiss | philippines filipino philippine filipinos | thailand thai | afghanistan afghan
argentina argentine argentinian | czechia czech czech-republic | belgium belgian | cyprus cypriot
iceland icelandic | portugal portuguese | peru peruvian | kazakhstan kazakh | uzbekistan uzbek
kyiv kiev | kharkiv kharkov | odesa odessa | myanmar burma burmese | ivory-coast ivorian
covid coronavirus covid-19 | gop republican republicans | dem democrat democratic democrats
facebook meta | google alphabet | fed federal-reserve | kremlin russia russian moscow
la los-angeles | nyc new-york | saudi saudi-arabia | congo drc congolese | fbi federal-bureau-of-investigation
tv television | internet web online | utd united | man manchester
"""
_GROUPS = [group.split() for line in _ALIAS_TABLE.splitlines() for group in line.split("|")]
ALIASES = {name: tuple(other for other in group if other != name) for group in _GROUPS for name in group}


@dataclass(frozen=True, slots=True)
class Name:
    """One capitalized word of a name.

    Args:
        word: the word as written.
        run: all words of the name, normalized.
        at: index of the word in `run`.
        initial: the word starts a sentence, in which any word is capitalized.
    """

    word: str
    run: tuple[str, ...]
    at: int
    initial: bool


@dataclass(frozen=True, slots=True)
class NameIndex:
    """Index of the words of a text for looking up names.

    Args:
        words: normalized words.
        stems: their stems.
        pairs: pairs of adjacent words.
        named: those pairs whose first word is capitalized.
        capitals: words in upper case.
        initials: initials of capitalized word sequences, such as "svb".
    """

    words: frozenset[str]
    stems: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    named: frozenset[tuple[str, str]]
    capitals: frozenset[str]
    initials: frozenset[str]


def missing_names(sentence: str, text: str) -> list[Name]:
    """Return the capitalized words of `sentence` that `text` contains neither as written nor as an alias."""
    known = _build_index(text)
    return [name for name in names(sentence) if not _is_known(name, known)]


def is_substituted_name(name: Name, sentence: str, text: str) -> bool:
    """Return True if `text` has another name in the same place: between the same words, or next to the same two."""
    source = _remove_dots(text)
    there = [match[0] for match in _WORD.finditer(source)]
    others = [
        at
        for at, word in enumerate(there)
        if _is_capital(word) and _fold_word(word) not in CAPITALIZED_NON_NAMES
    ]
    here, found = (
        [_fold_word(match[0]) for match in _WORD.finditer(_remove_dots(sentence))],
        list(map(_fold_word, there)),
    )
    places = [at for at, word in enumerate(here) if word == name.run[name.at]]
    return any(_is_same_place(here, at, found, other) for at in places for other in others)


def _is_same_place(here: Sequence[str], at: int, there: Sequence[str], other: int) -> bool:
    if here[at] == there[other]:
        return False
    before = _common_prefix(reversed(here[max(0, at - 2) : at]), reversed(there[max(0, other - 2) : other]))
    after = _common_prefix(here[at + 1 : at + 3], there[other + 1 : other + 3])
    return bool(before and after) or any(
        len(side) > 1 and any(len(word) >= _MIN_LONG_WORD for word in side) for side in (before, after)
    )


def _common_prefix(here: Iterable[str], there: Iterable[str]) -> list[str]:
    """Return the common prefix of two word sequences."""
    pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(here, there, strict=False))
    return [word for word, _ in pairs]


@lru_cache(maxsize=512)
def names(sentence: str) -> tuple[Name, ...]:
    """Return the words of names in `sentence`; empty for a headline, in which every word is capitalized."""
    sentence = _remove_dots(sentence)
    words = [match for match in _WORD.finditer(sentence) if not match[0][0].isdigit()]
    longer = [match for match in words if len(match[0]) >= _MIN_LONG_WORD]
    if sum(_is_capital(match[0]) for match in longer) >= max(
        _MIN_HEADLINE_WORDS, _HEADLINE_SHARE * len(longer)
    ):
        return ()
    return tuple(
        name for run in _capitalized_runs(sentence, words, _WITHIN_NAME) for name in _names_of(sentence, run)
    )


def _names_of(sentence: str, run: Sequence[re.Match[str]]) -> Iterator[Name]:
    folded = tuple(_fold_word(match[0]) for match in run)
    for at, match in enumerate(run):
        begins = (
            at == 0
            and _SENTENCE_START.search(sentence[max(0, match.start() - _LOOKBACK_CHARS) : match.start()])
            is not None
        )
        initial = begins and not match[0].isupper() and not _AFTER_NAME.match(sentence, match.end())
        if folded[at] not in CAPITALIZED_NON_NAMES and (len(folded[at]) > 1):
            yield Name(match[0], folded, at, initial)


def _capitalized_runs(
    sentence: str, words: Sequence[re.Match[str]], between: re.Pattern[str]
) -> Iterator[list[re.Match[str]]]:
    """Yield the sequences of capitalized words that are separated only by `between`."""
    run: list[re.Match[str]] = []
    for match in words:
        if not _is_capital(match[0]):
            continue
        if run and not between.fullmatch(sentence, run[-1].end(), match.start()):
            yield run
            run = []
        run.append(match)
    if run:
        yield run


def _is_capital(word: str) -> bool:
    return any(letter.isupper() for letter in word)


@lru_cache(maxsize=512)
def _build_index(text: str) -> NameIndex:
    text = _remove_dots(text)
    written = [match[0] for match in _WORD.finditer(text)]
    found = [_fold_word(word) for word in written]
    pairs = list(itertools.pairwise(found))
    return NameIndex(
        words=frozenset(part for word in found for part in (word, *word.split("'"))),
        stems=frozenset(analyze(text)),
        pairs=frozenset(pairs),
        named=frozenset(pair for pair, word in zip(pairs, written, strict=False) if _is_capital(word)),
        capitals=frozenset(word for word, shown in zip(found, written, strict=True) if shown.isupper()),
        initials=frozenset(_initials(text)),
    )


def _initials(text: str) -> Iterator[str]:
    """Yield the initials of sequences of capitalized words: "svb" for Silicon Valley Bank."""
    words = list(_WORD.finditer(text))
    for run in _capitalized_runs(text, words, _BETWEEN_INITIALS):
        letters = "".join(match[0][0] for match in run).casefold()
        for start in range(len(letters)):
            yield from (letters[start:end] for end in range(start + 2, start + _MAX_ACRONYM_LETTERS + 1))


def _is_known(name: Name, known: NameIndex) -> bool:
    word = name.run[name.at]
    if (
        _is_present(word, known)
        or (name.word.isupper() and word in known.initials)
        or _is_run_present(name, known)
    ):
        return True
    return name.initial and len(name.run) == 1


def _is_present(word: str, known: NameIndex) -> bool:
    if word in known.words or any(form in known.words for form in _spelling_variants(word)):
        return True
    if any(_is_phrase_present(other, known) for other in ALIASES.get(word, ())):
        return True
    return any(stem in known.stems for stem in analyze(word)) or any(
        part in known.words for part in word.split("'")[:1]
    )


def _is_run_present(name: Name, known: NameIndex) -> bool:
    """Return True if the text contains the whole name as initials, as an alias, or without this word."""
    run = name.run[1:] if name.run[0] in CAPITALIZED_NON_NAMES else name.run  # "The Federal Reserve"
    letters = "".join(word[0] for word in run)
    if len(letters) > 1 and letters in known.capitals:
        return True
    if any(_is_phrase_present(other, known) for other in ALIASES.get("-".join(run), ())):
        return True
    rest = name.run[name.at + 1 :]
    return bool(rest) and _is_present_alone(rest, name.run, known)


def _is_present_alone(rest: Sequence[str], run: Sequence[str], known: NameIndex) -> bool:
    """Return True if the text contains `rest` of a name, and never after a first word that is not in `run`."""
    if not _is_phrase_present("-".join(rest), known):
        return False
    before = {first for first, second in known.named if second == rest[0]}
    return not (before - set(run) - CAPITALIZED_NON_NAMES)


def _is_phrase_present(phrase: str, known: NameIndex) -> bool:
    parts = phrase.split("-")
    if len(parts) == 1:
        return phrase in known.words
    return all(pair in known.pairs for pair in itertools.pairwise(parts))


def _spelling_variants(word: str) -> Iterator[str]:
    """Yield spelling variants: singular and plural, countries and demonyms, foreign endings."""
    yield from (word + "s", word.removesuffix("s"), word.removesuffix("es"))
    yield word[:-1] + {"y": "i", "i": "y"}.get(word[-1], word[-1])
    yield from (word + "y", word.removesuffix("y"))
    for ending in _DEMONYM_ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _MIN_LONG_WORD:
            yield from (word.removesuffix(ending) + other for other in ("", "a", "e", "y", "o", "ia", "us"))
        if len(word) >= _MIN_LONG_WORD:
            yield from (word + ending, word[:-1] + ending)


def _remove_dots(text: str) -> str:
    return _DOTTED.sub(lambda match: match[0].replace(".", ""), text)


def _fold_word(word: str) -> str:
    if word == "US":
        return "usa"  # not the pronoun
    plain = unicodedata.normalize("NFKD", word).replace("’", "'")
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold() or word
