"""Validation of setting values: URLs, hosts, headers, tokens and ids. Error messages contain no possible secrets."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_HOST = re.compile(r"[\w.-]+|[\d.]+/\d+|[0-9a-fA-F:.]+(/\d+)?")
_NUMERIC = re.compile(r"[\d.]+(/\d+)?|[0-9a-fA-F]*:[0-9a-fA-F:.]*(/\d+)?")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{16,}=*")  # syntax of a bearer token (RFC 6750), too long to guess
_TOKEN_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
_CHANNEL = re.compile(r"[CDG][A-Z0-9]{2,}")
_USER = re.compile(r"[UW][A-Z0-9]{2,}")
_HELPER = re.compile(r"[SUW][A-Z0-9]{2,}")
_HEADERS = 'expected names and values, such as {"x-chroma-token": "…"}'


def http_url(value: str, example: str) -> str:
    """Validate a URL that may be shown and logged.

    Args:
        value: the URL.
        example: a valid URL for the error message.

    Raises:
        ValueError: if it is not an HTTP(S) URL, or contains a user, password, query or fragment.
    """
    try:
        parts = urlsplit(value)
        reachable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # an invalid port or an unclosed bracket
        reachable = False
    if not reachable or not value.isprintable() or " " in value:
        raise ValueError(f"expected an address such as {example}")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError(f"holds a user, password, query or fragment; expected an address such as {example}")
    return value


def chat_server_url(value: str) -> str:
    """Validate the URL of a chat model's server, which may be shown and logged.

    Raises:
        ValueError: if it is not an HTTP(S) URL, or contains a user, password or query.
    """
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address such as http://localhost:8080/v1")
    if parts.username or parts.password or parts.query:
        raise ValueError("holds a user, password or query; set the provider's key variable instead")
    return value


def parse_headers(value: object) -> object:
    """Validate HTTP headers, and parse them if they are JSON.

    Raises:
        ValueError: if they are not a mapping of valid names to one-line ASCII values.
    """
    try:
        fields = json.loads(value or "{}") if isinstance(value, str) else value
    except ValueError:
        raise ValueError(_HEADERS) from None  # the message of the parser quotes the value
    if not isinstance(fields, Mapping):
        raise ValueError(_HEADERS)
    for name, text in fields.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name[:40]!r} is not the name of a header")
        if not isinstance(text, str) or not _HEADER_VALUE.fullmatch(text):
            raise ValueError(f"the value of {name[:40]!r} is not one line of ASCII characters")
    return fields


def parse_api_tokens(value: object) -> object:
    """Validate API tokens, and parse them if they are a list of `name:token`.

    A token without a name is named after its position, such as `token-1`.

    Raises:
        ValueError: if a name or token is invalid, or a name is used twice.
    """
    tokens = value.replace(",", " ").split() if isinstance(value, str) else value
    if isinstance(tokens, list | tuple):
        pairs = [_parse_token(n, str(text)) for n, text in enumerate(tokens, start=1)]
        tokens = dict(pairs)
        if len(tokens) < len(pairs):
            raise ValueError("a name stands before two tokens")
    if not isinstance(tokens, Mapping):
        raise ValueError("expected words name:token")
    for name, token in tokens.items():
        if not _TOKEN_NAME.fullmatch(str(name)):
            raise ValueError("a name has up to 40 letters, digits, dots, dashes and underscores")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ValueError(
                f"the token of {name} needs 16 or more letters, digits and ._~+/- (try `openssl rand -hex 24`)"
            )
    return tokens


def _parse_token(number: int, text: str) -> tuple[str, str]:
    name, separator, token = text.partition(":")
    return (name, token) if separator else (f"token-{number}", text)


def path_segment(value: str) -> str:
    """Validate a name that is used as a segment of a URL path.

    Raises:
        ValueError: if it is empty, too long or not printable, or is a relative path.
    """
    if not value or len(value) > 128 or not value.isprintable() or value in (".", ".."):
        raise ValueError("expected a name")
    return value


def proxies(values: tuple[str, ...]) -> tuple[str, ...]:
    """Validate addresses and networks of trusted proxies.

    Raises:
        ValueError: if one is invalid, or includes all addresses.
    """
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
    """Validate host names, addresses and networks.

    Raises:
        ValueError: if one is invalid.
    """
    for value in values:
        if not _HOST.fullmatch(value):
            raise ValueError(
                f"{value[:80]!r} is not a host, address or network, such as intranet.example or 10.1.0.0/16"
            )
        if _NUMERIC.fullmatch(value):
            ipaddress.ip_network(value, strict=False)
    return values


def channel_ids(values: tuple[str, ...]) -> tuple[str, ...]:
    """Validate ids of Slack channels.

    Raises:
        ValueError: if one is invalid.
    """
    return _check_ids(values, _CHANNEL, "a channel's id, such as C0123ABCD")


def user_ids(values: tuple[str, ...]) -> tuple[str, ...]:
    """Validate ids of Slack users.

    Raises:
        ValueError: if one is invalid.
    """
    return _check_ids(values, _USER, "a person's id, such as U0123ABCD")


def mention_target_id(value: str) -> str:
    """Validate the id of a Slack user group or user.

    Raises:
        ValueError: if it is invalid.
    """
    return _check_ids((value,), _HELPER, "the id of a user group (S…) or of a person (U…)")[0]


def _check_ids(values: tuple[str, ...], pattern: re.Pattern[str], expected: str) -> tuple[str, ...]:
    for value in values:
        if not pattern.fullmatch(value):
            raise ValueError(f"{value[:40]!r} is not {expected}")
    return values
