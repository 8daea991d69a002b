"""Reads what a server sends up to a limit, counted after unpacking: a small answer can hold gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from bot.errors import FetchError

GZIP = b"\x1f\x8b"
_EITHER = zlib.MAX_WBITS | 32  # gzip or zlib, as the data itself says
_BARE = -zlib.MAX_WBITS  # what some servers take "deflate" for


def read_body(chunks: Iterable[bytes], *, packed: str, limit: int) -> bytes:
    """Return the body of an answer whose Content-Encoding is `packed`. Raises FetchError above `limit` bytes."""
    if packed in ("", "identity"):
        return _joined(chunks, limit)
    if packed not in ("gzip", "x-gzip", "deflate"):
        raise FetchError(f"its body is packed in a way that was not asked for ({packed[:40]})")
    return _unpacked(chunks, limit, deflated=packed == "deflate")


def unpack(data: bytes, *, limit: int) -> bytes:
    """Return what a gzip file holds, and other data as it is. Raises FetchError above `limit` bytes."""
    return _unpacked([data], limit) if data.startswith(GZIP) else data


def _joined(chunks: Iterable[bytes], limit: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        _refuse_large(len(body), limit)
    return bytes(body)


def _unpacked(chunks: Iterable[bytes], limit: int, *, deflated: bool = False) -> bytes:
    body = bytearray()
    unpacker = zlib.decompressobj(_EITHER)
    try:
        for number, chunk in enumerate(chunks):
            rest = chunk
            if deflated and not number and chunk and chunk[0] & 15 != zlib.DEFLATED:
                unpacker = zlib.decompressobj(_BARE)
            while rest and not unpacker.eof:
                body += unpacker.decompress(rest, limit + 1 - len(body))
                _refuse_large(len(body), limit)
                rest = unpacker.unconsumed_tail
                if unpacker.eof and unpacker.unused_data.startswith(GZIP):  # a file of several parts
                    rest, unpacker = unpacker.unused_data, zlib.decompressobj(_EITHER)
    except zlib.error as exc:
        raise FetchError(f"its body cannot be unpacked ({exc})") from exc
    if not unpacker.eof:
        raise FetchError("its body breaks off")
    return bytes(body)


def _refuse_large(size: int, limit: int) -> None:
    if size > limit:
        raise FetchError(f"larger than {limit / 1e6:g} MB, the limit")
