"""Turns the bytes of a file into text: what is text at all, and in which encoding."""

from __future__ import annotations

import re

HEAD = 8_192  # bytes that tell what a file is


# UTF-32 first: its little-endian mark begins with that of UTF-16.
_BOMS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_MAGIC = (b"%PDF-", b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
# Only charsets that pages are written in: Python has codecs (unicode_escape) that no page may choose.
_CHARSETS = r"windows-125\d|iso-8859-\d\d?|koi8-[ru]|gb2312|gbk|gb18030|big5|shift_jis|euc-jp|euc-kr"
_DECLARED = re.compile(
    rb"<(?:meta|\?xml)[^>]{1,200}?(?:charset|encoding)\s*=\s*[\"']?(%s)\b" % _CHARSETS.encode(), re.I
)
_NAMED = re.compile(rf"{_CHARSETS}|iso-2022-(?:jp|kr)", re.I)
# In what was wrongly taken for cp1252: Icelandic letters (where Turkish has its own), signs inside words.
_NOT_WESTERN = re.compile(r"[ÐÝÞðýþ]|[^\W\d_][¡-¬®-¶¸-¿×÷][^\W\d_]")


def is_binary(head: bytes) -> bool:
    """Say whether a file that begins with `head` holds no text."""
    controls = sum(byte < 9 or 13 < byte < 27 for byte in head)  # 27 is how Japanese mail changes alphabets
    no_text = (b"\0" in head or controls > len(head) / 20) and not bom_encoding(head)
    return no_text or head.startswith(_MAGIC)


def bom_encoding(head: bytes) -> str | None:
    """Return the encoding that the byte order mark names, if there is one."""
    return next((name for bom, name in _BOMS.items() if head.startswith(bom)), None)


def decode(data: bytes, *, charset: str = "") -> str:
    """Return `data` as text: by its byte order mark, as UTF-8, as it declares, else by its letters.

    `charset` is what it came with, such as a server's or an e-mail's header; a name that is unknown means nothing.
    """
    if bom := bom_encoding(data):
        return data.decode(bom, "replace")
    if charset.lower().startswith("iso-2022-") and (text := _decode_named(data, charset)):
        return text  # whose bytes are all ASCII, and so valid UTF-8
    text = data.decode("utf-8-sig", "replace")
    damaged = text.count("\ufffd")
    # UTF-8 with a few broken bytes stays UTF-8; text in another encoding hardly ever holds valid UTF-8.
    if not damaged or sum(not char.isascii() for char in text) > 2 * damaged:
        return text
    return (
        _decode_named(data, charset)
        or _decode_declared(data)
        or _decode_western(data)
        or _decode_guessed(data)
    )


def _decode_declared(data: bytes) -> str:
    match = _DECLARED.search(data[:HEAD])
    return _decode_named(data, match[1].decode()) if match else ""


def _decode_named(data: bytes, charset: str) -> str:
    name = charset.lower()
    if not _NAMED.fullmatch(name):
        return ""
    try:  # these two names stand for the larger sets that pages really use, as in browsers
        return data.decode({"iso-8859-1": "cp1252", "gb2312": "gb18030"}.get(name, name))
    except (UnicodeDecodeError, LookupError):
        return ""


def _decode_western(data: bytes) -> str:
    """Return `data` as cp1252 if that makes Western text; statistics go wrong on texts with few accents."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    letters = [char for char in text if char.isalpha()]
    foreign = sum(not char.isascii() for char in letters)
    return "" if foreign > 0.3 * len(letters) or _NOT_WESTERN.search(text) else text


def _decode_guessed(data: bytes) -> str:
    from charset_normalizer import from_bytes

    guess = from_bytes(data).best()
    return str(guess) if guess else data.decode("latin-1")
