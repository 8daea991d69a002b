"""Detects text encodings and binary files."""

from __future__ import annotations

import re

HEAD_BYTES = 8_192  # enough to detect the type of a file

# UTF-32 first: its little-endian mark starts with that of UTF-16.
_BOMS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_BINARY_MAGIC = (b"%PDF-", b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
# Only charsets used by web pages: a page must not choose Python codecs such as unicode_escape.
_CHARSETS = r"windows-125\d|iso-8859-\d\d?|koi8-[ru]|gb2312|gbk|gb18030|big5|shift_jis|euc-jp|euc-kr"
_DECLARED_CHARSET = re.compile(
    rb"<(?:meta|\?xml)[^>]{1,200}?(?:charset|encoding)\s*=\s*[\"']?(%s)\b" % _CHARSETS.encode(), re.I
)
_ALLOWED_CHARSET = re.compile(rf"{_CHARSETS}|iso-2022-(?:jp|kr)", re.I)
# Found in text wrongly decoded as cp1252: Icelandic letters (in place of Turkish ones), symbols inside words.
_NOT_WESTERN = re.compile(r"[ÐÝÞðýþ]|[^\W\d_][¡-¬®-¶¸-¿×÷][^\W\d_]")


def is_binary(head: bytes) -> bool:
    """Return True if a file that starts with `head` is not text."""
    # Except 27 (escape), which switches character sets in Japanese mail.
    controls = sum(byte < 9 or 13 < byte < 27 for byte in head)
    no_text = (b"\0" in head or controls > len(head) / 20) and not bom_encoding(head)
    return no_text or head.startswith(_BINARY_MAGIC)


def bom_encoding(head: bytes) -> str | None:
    """Return the encoding given by the byte order mark, or None without one."""
    return next((name for bom, name in _BOMS.items() if head.startswith(bom)), None)


def decode(data: bytes, *, charset: str = "") -> str:
    """Decode text: by its byte order mark, as UTF-8, by its declared charset, else by detection.

    Args:
        data: the text.
        charset: charset from an HTTP or e-mail header; unknown names are ignored.
    """
    if bom := bom_encoding(data):
        return data.decode(bom, "replace")
    if charset.lower().startswith("iso-2022-") and (text := _decode_by_charset(data, charset)):
        return text  # before UTF-8, because its bytes are ASCII and thus valid UTF-8
    text = data.decode("utf-8-sig", "replace")
    damaged = text.count("\ufffd")
    # UTF-8 with a few broken bytes is still UTF-8; other encodings rarely contain valid UTF-8 sequences.
    if not damaged or sum(not char.isascii() for char in text) > 2 * damaged:
        return text
    return (
        _decode_by_charset(data, charset)
        or _decode_by_declaration(data)
        or _decode_cp1252(data)
        or _decode_by_guess(data)
    )


def _decode_by_declaration(data: bytes) -> str:
    match = _DECLARED_CHARSET.search(data[:HEAD_BYTES])
    return _decode_by_charset(data, match[1].decode()) if match else ""


def _decode_by_charset(data: bytes, charset: str) -> str:
    name = charset.lower()
    if not _ALLOWED_CHARSET.fullmatch(name):
        return ""
    try:  # as in browsers, these two names mean the larger character sets that pages really use
        return data.decode({"iso-8859-1": "cp1252", "gb2312": "gb18030"}.get(name, name))
    except (UnicodeDecodeError, LookupError):
        return ""


def _decode_cp1252(data: bytes) -> str:
    """Decode as cp1252 if the result is Western text; statistical detection fails on texts with few accents."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    letters = [char for char in text if char.isalpha()]
    foreign = sum(not char.isascii() for char in letters)
    return "" if foreign > 0.3 * len(letters) or _NOT_WESTERN.search(text) else text


def _decode_by_guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    guess = from_bytes(data).best()
    return str(guess) if guess else data.decode("latin-1")
