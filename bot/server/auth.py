"""Who may use the service: whoever has one of its tokens, or without tokens this machine alone."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

from bot.errors import SettingsError
from bot.server.errors import HttpError
from bot.server.rate_limit import client_key
from bot.settings import Settings


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches a host."""
    try:
        return host.lower() == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Authenticator:
    """Knows the tokens; they are compared in a time that does not depend on how much of one is right."""

    def __init__(self, settings: Settings) -> None:
        self._digests = {
            name: _digest(token.get_secret_value().encode()) for name, token in settings.api_tokens.items()
        }
        self._public_host = urlsplit(settings.public_url).hostname or ""

    @property
    def needs_token(self) -> bool:
        """Whether there are tokens, without one of which nothing is told."""
        return bool(self._digests)

    def check_host(self, host: str) -> None:
        """Refuse to listen where others than this machine would be answered. Raises SettingsError."""
        if not self._digests and not is_loopback(host):
            raise SettingsError(
                f"at {host} whoever reaches it could ask: set CITEWIRE_API_TOKENS (name:token), or listen at 127.0.0.1"
            )

    def authenticate(self, request: Request) -> str:
        """Return who asks: the name of their token, or where there are none their address. Raises HttpError."""
        if not self._digests:
            self._check_address(request)
            return client_key(request.client.host if request.client else "")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        named = self._named(token.strip()) if scheme.lower() == "bearer" else ""
        if not named:
            sentence = "no token of this service; send one as `Authorization: Bearer TOKEN`"
            raise HttpError(401, "token", sentence, WWW_Authenticate="Bearer")
        return named

    def _named(self, token: str) -> str:
        digest = _digest(token.encode("utf-8", "surrogateescape"))
        matching = [name for name, known in self._digests.items() if hmac.compare_digest(known, digest)]
        return matching[0] if matching else ""

    def _check_address(self, request: Request) -> None:
        """Refuse a request for another host's name: a web page may have its name point to this machine."""
        host = _host(request.headers)
        if not is_loopback(host) and host != self._public_host:
            raise HttpError(
                421, "token", "this service is asked by its own name; set CITEWIRE_PUBLIC_URL to it"
            )


def _host(headers: Mapping[str, str]) -> str:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
