"""Setup of any chat model that LangChain supports, and descriptions of its errors without secrets."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from bot.errors import ChatModelError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from bot.settings import Settings

_MAX_ANSWER_TOKENS = 2_000  # answers are short, but some models generate reasoning first
# Of a request that failed with 429, 5xx or a dropped connection; with backoff, by the provider's package.
_MAX_RETRIES = 4
# Extras of this package that install the package of a provider.
EXTRAS = {"openai": "openai", "anthropic": "anthropic", "ollama": "ollama", "google_genai": "google"}
_SECRET = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)(?:_|$)", re.IGNORECASE)
_KEYLIKE = re.compile(
    r"\b(?:sk|pk|rk|xox[a-z]|gsk|AIza|key|Bearer)[-_ ]?[\w-]*\*{3,}[\w-]*|\b(?:sk|pk|rk|xox[a-z]|gsk)[-_][\w-]{8,}"
    r"|\bAIza[\w-]{20,}|\bBearer\s+[\w.~+/-]{8,}=*"
)
_HTTP_ERRORS = {
    400: "the model's server refused the request",
    401: "the model's server refused the key",
    403: "the model's server refused the key",
    404: "the model's server does not know this model",
    408: "the model's server took too long",
    429: "the model's server asks for fewer requests, or its quota is used up",
}


def load_chat_model(name: str, settings: Settings) -> BaseChatModel:
    """Set up a chat model without sending a request.

    Args:
        name: provider and model, as in "openai:gpt-4o-mini".

    Raises:
        ChatModelError: if the model cannot be set up.
    """
    provider = name.partition(":")[0]
    options: dict[str, Any] = {
        "timeout": settings.chat_timeout,
        "max_retries": _MAX_RETRIES,
        "max_tokens": max_output_tokens(settings),
    }
    if (
        provider == "ollama"
    ):  # has other parameter names, and no retries because it usually runs on this machine
        options = {
            "client_kwargs": {"timeout": settings.chat_timeout},
            "num_predict": max_output_tokens(settings),
        }
    if settings.chat_base_url:
        options["base_url"] = settings.chat_base_url
        if provider == "openai":
            options["stream_usage"] = True  # its package sets this for OpenAI's own server only
        if provider == "openai" and not os.environ.get("OPENAI_API_KEY"):
            options["api_key"] = "none"  # most self-hosted servers need no key, but the package does
    model = _init_model(name, options)
    if (getattr(model, "profile", None) or {}).get(
        "temperature"
    ) is False:  # reasoning models reject the parameter
        return model
    return _init_model(name, {**options, "temperature": 0})  # answers as reproducible as possible


def max_output_tokens(settings: Settings) -> int:
    """Return the part of the token budget that the model may generate; the rest is for the prompt."""
    return min(_MAX_ANSWER_TOKENS, settings.chat_budget // 4)


def describe_error(exc: BaseException) -> str:
    """Describe an error of a model in a few words, without secrets."""
    status = getattr(exc, "status_code", None) or getattr(exc, "code", None)
    if isinstance(status, int) and status >= 400:  # the message of the server is not shown
        other = _HTTP_ERRORS[400] if status < 500 else "the model’s server failed"
        return f"{_HTTP_ERRORS.get(status, other)} (HTTP {status})"
    if "timeout" in type(exc).__name__.lower() or isinstance(exc, TimeoutError):
        return "the model's server took too long"
    if "connect" in type(exc).__name__.lower() or isinstance(exc, ConnectionError):
        return "the model's server cannot be reached"
    return f"{type(exc).__name__}: {redact_secrets((str(exc).strip() or 'no reason given').splitlines()[0])[:200]}"


def redact_secrets(text: str) -> str:
    """Return a text without the values of secret environment variables and without anything that looks like a key."""
    secrets = {value for name, value in os.environ.items() if _SECRET.search(name) and len(value) >= 6}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _KEYLIKE.sub("***", text)


def _init_model(name: str, options: dict[str, Any]) -> BaseChatModel:
    from langchain.chat_models import init_chat_model

    try:
        if not name.strip():  # LangChain would return a model that is configured later
            raise ValueError("it has no name")
        model: BaseChatModel = init_chat_model(name, **options)
    except ImportError:
        provider = name.partition(":")[0]
        package = (
            f"'citewire[{EXTRAS[provider]}]'"
            if provider in EXTRAS
            else f"langchain-{provider.replace('_', '-')}"
        )
        raise ChatModelError(f"{name}: its provider's package is missing; pip install {package}") from None
    except Exception as exc:  # noqa: BLE001 - differs by provider; `from None`: the cause may contain the key
        reason = redact_secrets((str(exc).strip() or type(exc).__name__).splitlines()[0])
        raise ChatModelError(
            f"the chat model {name!r} cannot be set up ({reason}); name it as provider:model, for instance "
            "openai:gpt-4o-mini, and set its provider's key variable"
        ) from None
    return model
