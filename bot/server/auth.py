"""Authentication of HTTP requests by API token; without tokens, only this machine may use the service."""

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
    """Return True if a host can be reached from this machine only."""
    try:
        return host.lower() == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Authenticator:
    """Authenticates requests by API token, in constant time."""

    def __init__(self, settings: Settings) -> None:
        self._digests = {
            name: _digest(token.get_secret_value().encode()) for name, token in settings.api_tokens.items()
        }
        self._public_host = urlsplit(settings.public_url).hostname or ""

    @property
    def needs_token(self) -> bool:
        """Return True if tokens are configured, so that every request needs one."""
        return bool(self._digests)

    def check_host(self, host: str) -> None:
        """Check that a host may be bound.

        Raises:
            SettingsError: if other machines could use the service without a token.
        """
        if not self._digests and not is_loopback(host):
            raise SettingsError(
                f"at {host} whoever reaches it could ask: set CITEWIRE_API_TOKENS (name:token), or listen at 127.0.0.1"
            )

    def authenticate(self, request: Request) -> str:
        """Return an identifier of the client: the name of its token, or its address if no tokens are configured.

        Raises:
            HttpError: if the request is not authenticated.
        """
        if not self._digests:
            self._check_address(request)
            return client_key(request.client.host if request.client else "")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token_name = self._find_token_name(token.strip()) if scheme.lower() == "bearer" else ""
        if not token_name:
            message = "no token of this service; send one as `Authorization: Bearer TOKEN`"
            raise HttpError(401, "token", message, WWW_Authenticate="Bearer")
        return token_name

    def _find_token_name(self, token: str) -> str:
        digest = _digest(token.encode("utf-8", "surrogateescape"))
        matching = [
            name for name, known_digest in self._digests.items() if hmac.compare_digest(known_digest, digest)
        ]
        return matching[0] if matching else ""

    def _check_address(self, request: Request) -> None:
        """Reject a request for another host name.

        A web page can make its own host name resolve to this machine (DNS rebinding).

        Raises:
            HttpError: if the host is neither this machine nor that of the public URL.
        """
        host = _read_host(request.headers)
        if not is_loopback(host) and host != self._public_host:
            raise HttpError(
                421, "token", "this service is asked by its own name; set CITEWIRE_PUBLIC_URL to it"
            )


def _read_host(headers: Mapping[str, str]) -> str:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
