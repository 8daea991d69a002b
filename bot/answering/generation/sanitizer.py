"""Strip markup from model output, and detect links and mentions: users see only its words."""

from __future__ import annotations

import html
import re
import unicodedata

from bot.articles.article import clean_line

_NUMBER = r"\^?(?:(?:passages?|sources?|articles?|refs?)\.?\s*)?(?:n\s*=\s*)?#?\s*\d{1,3}"
_NUMBERS = rf"{_NUMBER}(?:\s*(?:[,;&–-]|and)\s*{_NUMBER})*"
# [1] [1, 2] [1-3] [^1] [[1]] [Passage 1] [1](URL) 【1†source】; and (1), but only at the end of a sentence.
_MARK = re.compile(
    rf"\s*(?:\[\[?\s*(?P<square>{_NUMBERS})\s*\]\]?(?:\([^()\s]*\))?"
    rf"|【\s*(?P<lens>\d{{1,3}}(?:\s*,\s*\d{{1,3}})*)[^】\n]{{0,30}}】"
    r"|\((?P<round>\d{1,2}(?:\s*,\s*\d{1,2})*)\)(?=\W*$))",
    re.IGNORECASE,
)
_TARGET = r"(?:\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\])"
_IMAGE = re.compile(rf"!\[[^\]]*\]{_TARGET}?")
_LINK = re.compile(rf"\[([^\]\[]*)\]{_TARGET}")
_ENTITY = re.compile(r"&#?\w{1,10};")
_TAG = re.compile(r"</?[a-zA-Z!@#/][^<>]*>")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3}|_{1,3}|~~)(?=\S)(.+?)(?<=\S)\1(?![\w*])")
_CODE = re.compile(r"`+([^`]*)`+")
_ADDRESS = re.compile(
    r"(?:\b[a-z][a-z0-9+.-]{1,20}://|\bwww\.|\b(?:mailto|tel|javascript|data|file|slack):\S)|\b[\w.+-]+@[\w-]+\.\w",
    re.IGNORECASE,
)
# Text that only some programs turn into a link, mention or emoji: "evil.example/x", "@channel", "#general",
# ":skull:".
_HANDLE = re.compile(
    r"(?<![\w.@-])[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}(?:[/:]\S+)?|(?<!\w)[@#][^\W\d]\w*|:[a-z][\w+-]*:|//\w\S*"
)
_MENTIONS_ALL = re.compile(r"(?<!\w)@(?:channel|everyone|here|all)\b", re.IGNORECASE)
_OPEN_TAG = re.compile(r"<[a-zA-Z!@#/?]")
_DOTS = str.maketrans("。", ".")


def split_citation_markers(text: str, passages: int) -> tuple[str, tuple[int, ...]]:
    """Split a sentence into its text and the numbers of its citation markers.

    Args:
        text: the sentence.
        passages: number of passages in the prompt; a number in parentheses is a marker only if a passage has it.

    Returns:
        The text without markers, and the numbers in their order without duplicates.
    """
    cited: list[int] = []

    def collect(match: re.Match[str]) -> str:
        numbers = _expand_ranges(match["square"] or match["lens"] or match["round"])
        if match["round"] and not all(1 <= n <= passages for n in numbers):
            return match[0]
        cited.extend(numbers)
        return ""

    bare = _MARK.sub(collect, text)
    return bare.strip(), tuple(dict.fromkeys(cited))


def strip_markup(text: str) -> str:
    """Return text on one line without Markdown, HTML, images and URLs of links."""
    text = _strip_invisible(text)
    text = _IMAGE.sub("", text)
    text = _LINK.sub(r"\1", text)
    text = _strip_tags(text)
    for _ in range(3):  # emphasis within emphasis
        text = _EMPHASIS.sub(r"\2", text)
    text = _CODE.sub(r"\1", text)
    # Removed markup may leave a space before a period.
    return re.sub(r" +(?=[.,;:!?…](?: |$))", "", clean_line(text.replace("**", "")))


def contains_link_or_mention(text: str, known: str = "") -> bool:
    """Return True if a program that shows the text might turn a part of it into a link, a mention or a tag.

    Args:
        text: the text.
        known: trusted text; names in it that only look like links or mentions ("Amazon.com", "#MeToo") are allowed.
    """
    shown, known = (unicodedata.normalize("NFKC", some).translate(_DOTS) for some in (text, known))
    if _ADDRESS.search(shown) or _MENTIONS_ALL.search(shown) or _OPEN_TAG.search(shown):
        return True
    there = known.casefold()
    return any("/" in match[0] or match[0].casefold() not in there for match in _HANDLE.finditer(shown))


def _strip_invisible(text: str) -> str:
    """Remove invisible characters: they can hide a number or a URL from every check."""
    return "".join(char for char in text if unicodedata.category(char) != "Cf")


def _strip_tags(text: str) -> str:
    """Remove HTML, even if it is escaped or nested."""
    while (bare := _TAG.sub("", _ENTITY.sub(lambda match: html.unescape(match[0]), text))) != text:
        text = bare
    return text


def _expand_ranges(marks: str) -> list[int]:
    numbers: list[int] = []
    for part in re.split(r"\s*(?:[,;&]|and)\s*", marks):
        first, *rest = [int(found) for found in re.findall(r"\d+", part)]
        last = rest[0] if rest else first
        numbers += range(first, last + 1) if first <= last <= first + 20 else [first, last]
    return numbers
