"""Sets up whatever chat model LangChain knows, and tells its troubles without its secrets."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from bot.errors import ChatModelError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from bot.settings import Settings

_MOST = 2_000  # tokens of an answer: it is short, but some models think first
_RETRIES = (
    4  # of a request that met 429, 5xx or a dropped connection; with back-off, by the provider's package
)
# Extras of this package that bring a provider's.
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
    """Return the chat model of that name ("provider:model"), without asking it anything. Raises ChatModelError."""
    provider = name.partition(":")[0]
    options: dict[str, Any] = {
        "timeout": settings.chat_timeout,
        "max_retries": _RETRIES,
        "max_tokens": max_output_tokens(settings),
    }
    if provider == "ollama":  # names these otherwise, and has no retries: it runs beside us
        options = {
            "client_kwargs": {"timeout": settings.chat_timeout},
            "num_predict": max_output_tokens(settings),
        }
    if settings.chat_base_url:
        options["base_url"] = settings.chat_base_url
        if provider == "openai":
            options["stream_usage"] = True  # which its package asks of OpenAI's own server alone
        if provider == "openai" and not os.environ.get("OPENAI_API_KEY"):
            options["api_key"] = "none"  # a server of one's own mostly wants no key, but the package does
    model = _initialised(name, options)
    if (getattr(model, "profile", None) or {}).get("temperature") is False:  # models that reason refuse it
        return model
    return _initialised(name, {**options, "temperature": 0})  # as alike from run to run as it can be


def max_output_tokens(settings: Settings) -> int:
    """Return how many tokens of an answer's budget the model may write; the rest is for the prompt."""
    return min(_MOST, settings.chat_budget // 4)


def describe_error(exc: BaseException) -> str:
    """Say in a few words what went wrong with a model, without any secret."""
    status = getattr(exc, "status_code", None) or getattr(exc, "code", None)
    if isinstance(status, int) and status >= 400:  # what the server writes itself is nobody's to show
        other = _HTTP_ERRORS[400] if status < 500 else "the model’s server failed"
        return f"{_HTTP_ERRORS.get(status, other)} (HTTP {status})"
    if "timeout" in type(exc).__name__.lower() or isinstance(exc, TimeoutError):
        return "the model's server took too long"
    if "connect" in type(exc).__name__.lower() or isinstance(exc, ConnectionError):
        return "the model's server cannot be reached"
    return f"{type(exc).__name__}: {redact_secrets((str(exc).strip() or 'no reason given').splitlines()[0])[:200]}"


def redact_secrets(text: str) -> str:
    """Return text without the values of secret environment variables, and without what looks like a key."""
    secrets = {value for name, value in os.environ.items() if _SECRET.search(name) and len(value) >= 6}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _KEYLIKE.sub("***", text)


def _initialised(name: str, options: dict[str, Any]) -> BaseChatModel:
    from langchain.chat_models import init_chat_model

    try:
        if not name.strip():  # LangChain would put off choosing a model
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
    except Exception as exc:  # noqa: BLE001 - each provider has its own; `from None`: a cause may hold the key
        reason = redact_secrets((str(exc).strip() or type(exc).__name__).splitlines()[0])
        raise ChatModelError(
            f"the chat model {name!r} cannot be set up ({reason}); name it as provider:model, for instance "
            "openai:gpt-4o-mini, and set its provider's key variable"
        ) from None
    return model
