"""The forms that settings have: addresses, headers, names, ids. What may be secret is not told where it is refused."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_HOST = re.compile(r"[\w.-]+|[\d.]+/\d+|[0-9a-fA-F:.]+(/\d+)?")
_IN_NUMBERS = re.compile(r"[\d.]+(/\d+)?|[0-9a-fA-F]*:[0-9a-fA-F:.]*(/\d+)?")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_TOKEN = re.compile(
    r"[A-Za-z0-9._~+/-]{16,}=*"
)  # what can stand behind "Bearer" (RFC 6750), and cannot be tried
_TOKEN_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
_CHANNEL = re.compile(r"[CDG][A-Z0-9]{2,}")
_PERSON = re.compile(r"[UW][A-Z0-9]{2,}")
_HELPER = re.compile(r"[SUW][A-Z0-9]{2,}")
_HEADERS = 'expected names and values, such as {"x-chroma-token": "…"}'


def http_url(value: str, example: str) -> str:
    """Return an address that may be shown and logged. Raises ValueError."""
    try:
        parts = urlsplit(value)
        reachable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none, a bracket left open
        reachable = False
    if not reachable or not value.isprintable() or " " in value:
        raise ValueError(f"expected an address such as {example}")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError(f"holds a user, password, query or fragment; expected an address such as {example}")
    return value


def chat_address(value: str) -> str:
    """Return the address of a chat model's server, which may be shown and logged. Raises ValueError."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address such as http://localhost:8080/v1")
    if parts.username or parts.password or parts.query:
        raise ValueError("holds a user, password or query; set the provider's key variable instead")
    return value


def headers(value: object) -> object:
    """Return the names and values of HTTP headers, as they are or from JSON. Raises ValueError."""
    try:
        read = json.loads(value or "{}") if isinstance(value, str) else value
    except ValueError:
        raise ValueError(_HEADERS) from None  # the parser's own words quote it
    if not isinstance(read, Mapping):
        raise ValueError(_HEADERS)
    for name, text in read.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name[:40]!r} is not the name of a header")
        if not isinstance(text, str) or not _HEADER_VALUE.fullmatch(text):
            raise ValueError(f"the value of {name[:40]!r} is not one line of ASCII characters")
    return read


def parse_api_tokens(value: object) -> object:
    """Return tokens by name, as they are or from words `name:token`; one without a name has a number for one.

    Raises ValueError.
    """
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    if isinstance(words, list | tuple):
        named = [_named_token(n, str(word)) for n, word in enumerate(words, start=1)]
        words = dict(named)
        if len(words) < len(named):
            raise ValueError("a name stands before two tokens")
    if not isinstance(words, Mapping):
        raise ValueError("expected words name:token")
    for name, token in words.items():
        if not _TOKEN_NAME.fullmatch(str(name)):
            raise ValueError("a name has up to 40 letters, digits, dots, dashes and underscores")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ValueError(
                f"the token of {name} needs 16 or more letters, digits and ._~+/- (try `openssl rand -hex 24`)"
            )
    return words


def _named_token(number: int, word: str) -> tuple[str, str]:
    name, colon, token = word.partition(":")
    return (name, token) if colon else (f"token-{number}", word)


def path_segment(value: str) -> str:
    """Return a name that can stand in an address as one part of its path. Raises ValueError."""
    if not value or len(value) > 128 or not value.isprintable() or value in (".", ".."):
        raise ValueError("expected a name")
    return value


def proxies(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return addresses and networks that may say for whom they ask. Raises ValueError."""
    for value in values:
        try:
            network = ipaddress.ip_network(value)
        except ValueError:
            raise ValueError(
                f"{value[:80]!r} is not an address or network, such as 10.1.0.7 or 10.1.0.0/16"
            ) from None
        if not network.prefixlen:
            raise ValueError(f"{value} is everybody: whoever asks could then say any address")
    return values


def hosts(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of hosts, addresses and networks. Raises ValueError."""
    for value in values:
        if not _HOST.fullmatch(value):
            raise ValueError(
                f"{value[:80]!r} is not a host, address or network, such as intranet.example or 10.1.0.0/16"
            )
        if _IN_NUMBERS.fullmatch(value):
            ipaddress.ip_network(value, strict=False)
    return values


def channel_ids(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ids of channels in Slack. Raises ValueError."""
    return _ids(values, _CHANNEL, "a channel's id, such as C0123ABCD")


def person_ids(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ids of people in Slack. Raises ValueError."""
    return _ids(values, _PERSON, "a person's id, such as U0123ABCD")


def mention_target_id(value: str) -> str:
    """Return the id of a user group or a person in Slack. Raises ValueError."""
    return _ids((value,), _HELPER, "the id of a user group (S…) or of a person (U…)")[0]


def _ids(values: tuple[str, ...], form: re.Pattern[str], expected: str) -> tuple[str, ...]:
    for value in values:
        if not form.fullmatch(value):
            raise ValueError(f"{value[:40]!r} is not {expected}")
    return values
