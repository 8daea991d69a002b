"""Settings from CITEWIRE_* environment variables and citewire.toml in the working directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

from bot import settings_types
from bot.errors import SettingsError

PREFIX = "CITEWIRE_"
TOML_FILE = "citewire.toml"


# The languages for which tantivy has a stemmer.
Language = Literal[
    "arabic", "danish", "dutch", "english", "finnish", "french", "german", "greek", "hungarian", "italian",
    "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "tamil", "turkish",
]  # fmt: skip


Ids = tuple[str, ...]  # of Slack, not names, because a name can be reassigned to another channel


def _default_data_dir() -> Path:
    from platformdirs import user_data_path

    return Path(user_data_path("citewire"))


class Settings(BaseModel):
    """Settings; an environment variable overrides citewire.toml, and a command's option overrides both."""

    # Errors show no values, because they may be secret.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    data_dir: Path = Field(
        default_factory=_default_data_dir, description="Data directory: article store and indexes."
    )
    database_url: str = Field(
        default="", description="SQLAlchemy URL of the database; empty: SQLite in the data directory."
    )
    chroma_url: str = Field(
        default="",
        description="A Chroma server, such as http://localhost:8000; empty: embedded in the data directory.",
    )
    chroma_headers: dict[str, SecretStr] = Field(
        default={},
        description="Extra headers of requests to Chroma as JSON, such as Chroma Cloud's x-chroma-token.",
    )
    chroma_tenant: str = Field(default="default_tenant", description="Chroma tenant.")
    chroma_database: str = Field(default="default_database", description="Chroma database.")
    chroma_ca_file: Path | None = Field(
        default=None, description="CA bundle for the Chroma server; none: the public authorities."
    )
    embedding_model: str = Field(
        default="",
        description="A sentence-transformers model, by name or folder; empty: the packaged all-MiniLM-L6-v2.",
    )
    embedding_precision: Literal["float32", "int8"] = Field(
        default="float32",
        description="int8: 8-bit quantized weights, faster on CPU and slightly less accurate.",
    )
    language: Language = Field(default="english", description="Stemmer language.")
    rerank_model: str = Field(
        default="",
        description="A sentence-transformers CrossEncoder that reranks the top 30 passages; empty: none.",
    )
    reader_model: str = Field(
        default="",
        description="A Hugging Face question-answering model, by name or folder; empty: the packaged reader.",
    )
    min_confidence: float = Field(default=0.4, ge=0, le=1, description="Minimum confidence to answer.")
    closest_confidence: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Minimum confidence to show the closest passage if the question is not answered.",
    )
    device: str = Field(default="", description="cpu, cuda, mps …; empty: chosen automatically.")
    chat_model: str = Field(
        default="", description="Chat model that writes answers, as provider:model; empty: quotes only."
    )
    chat_base_url: str = Field(
        default="", description="Base URL of an OpenAI-compatible server for the chat model."
    )
    chat_timeout: float = Field(
        default=60, gt=0, le=3600, description="Seconds to wait for the chat model's next token."
    )
    chat_budget: int = Field(
        default=8_000,
        ge=1_000,
        description="Token budget per answer, including the prompt with its passages.",
    )
    chat_price_in: float = Field(default=0, ge=0, description="USD per million input tokens; 0: unknown.")
    chat_price_out: float = Field(default=0, ge=0, description="USD per million output tokens; 0: unknown.")
    support_model: str = Field(
        default="",
        description="A CrossEncoder with entailment labels, also consulted on support; empty: none.",
    )
    support_judge: str = Field(
        default="",
        description="A chat model, also consulted on support, as provider:model; empty: none.",
    )

    fetch_allow: tuple[str, ...] = Field(
        default=(),
        description="Private hosts and networks that may be fetched, such as 10.1.0.0/16.",
    )
    fetch_delay: float = Field(
        default=1, ge=0, le=3600, description="Seconds between two requests to one public host."
    )

    slack_bot_token: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="SLACK_BOT_TOKEN",
        description="The Slack app's bot token, xoxb-…",
    )
    slack_app_token: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="SLACK_APP_TOKEN",
        description="Its app-level token, xapp-…, for Socket Mode.",
    )
    slack_signing_secret: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="SLACK_SIGNING_SECRET",
        description="Signing secret of the Slack app, for HTTP mode.",
    )
    slack_api_url: str = Field(default="https://slack.com/api/", description="Slack's Web API.")
    slack_channels: Ids = Field(
        default=(),
        description="Ids of the channels in which the bot answers; empty: all that it was invited to.",
    )
    slack_users: Ids = Field(default=(), description="Ids of the users that get answers; empty: everyone.")
    slack_external_channels: Ids = Field(
        default=(), description="Ids of channels shared with other companies in which the bot answers."
    )
    slack_admins: Ids = Field(default=(), description="Ids of the users who may change channel sources.")
    slack_helpers: str = Field(
        default="",
        description="User group (S…) or user mentioned by *Ask a person*; empty: the button is hidden.",
    )
    slack_concurrency: int = Field(default=4, ge=1, le=64, description="Maximum concurrent answers.")
    slack_waiting: int = Field(default=5, ge=1, description="Maximum queued questions per user.")

    public_url: str = Field(
        default="",
        description="Public URL of the HTTP service; empty: no links to its pages.",
    )
    api_tokens: dict[str, SecretStr] = Field(
        default={}, description="API tokens of the HTTP service as name:token; none: this machine only."
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="Trusted reverse proxies (addresses or networks) of the HTTP service.",
    )
    serve_rate: int = Field(default=60, ge=1, description="Questions per minute per token or address.")
    serve_concurrency: int = Field(
        default=4, ge=1, le=64, description="Maximum concurrent answers over HTTP."
    )
    serve_waiting: int = Field(
        default=16, ge=0, le=1_000, description="Queue length; further requests get 503."
    )
    serve_timeout: float = Field(
        default=120,
        gt=0,
        le=3_600,
        description="Seconds until an answer over HTTP times out, including queueing.",
    )
    log_format: Literal["", "json", "text"] = Field(
        default="", description="Log format of services; empty: text on a TTY, else JSON."
    )

    @field_validator("fetch_allow")
    @classmethod
    def _check_hosts_and_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return settings_types.hosts(value)

    @field_validator(
        "fetch_allow",
        "trusted_proxies",
        "slack_channels",
        "slack_users",
        "slack_external_channels",
        "slack_admins",
        mode="before",
    )
    @classmethod
    def _split_list(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return settings_types.proxies(value)

    @field_validator("slack_channels", "slack_external_channels")
    @classmethod
    def _check_channel_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return settings_types.channel_ids(value)

    @field_validator("slack_users", "slack_admins")
    @classmethod
    def _check_user_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return settings_types.user_ids(value)

    @field_validator("slack_helpers")
    @classmethod
    def _check_helper_id(cls, value: str) -> str:
        return settings_types.mention_target_id(value) if value else value

    @field_validator("slack_api_url")
    @classmethod
    def _normalize_slack_url(cls, value: str) -> str:
        return settings_types.http_url(value, "https://slack.com/api/").rstrip("/") + "/"

    @field_validator("data_dir", mode="before")
    @classmethod
    def _use_default_if_empty(cls, value: object) -> object:
        return _default_data_dir() if value == "" else value  # Path("") would be the working directory

    @field_validator("data_dir")
    @classmethod
    def _make_absolute(cls, value: Path) -> Path:
        try:
            return value.expanduser().absolute()
        except RuntimeError as exc:
            raise ValueError(f"{value}: {exc}") from exc

    @field_validator("chroma_url")
    @classmethod
    def _check_chroma_url(cls, value: str) -> str:
        return settings_types.http_url(value, "http://localhost:8000") if value else value

    @field_validator("chroma_headers", mode="before")
    @classmethod
    def _parse_chroma_headers(cls, value: object) -> object:
        return settings_types.parse_headers(value)

    @field_validator("chroma_tenant", "chroma_database")
    @classmethod
    def _check_chroma_names(cls, value: str) -> str:
        return settings_types.path_segment(value)

    @field_validator("chroma_ca_file", mode="before")
    @classmethod
    def _empty_to_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("chroma_ca_file")
    @classmethod
    def _require_https(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value and not info.data.get("chroma_url", "https:").startswith("https:"):
            raise ValueError("has no effect without an https address in CITEWIRE_CHROMA_URL")
        return value

    @field_validator("public_url")
    @classmethod
    def _normalize_public_url(cls, value: str) -> str:
        return settings_types.http_url(value, "https://citewire.example.org").rstrip("/") if value else value

    @field_validator("api_tokens", mode="before")
    @classmethod
    def _parse_api_tokens(cls, value: object) -> object:
        return settings_types.parse_api_tokens(value)

    @field_validator("chat_base_url")
    @classmethod
    def _check_chat_base_url(cls, value: str) -> str:
        return settings_types.chat_server_url(value) if value else value


def load_settings(**options: Any) -> Settings:
    """Load the settings.

    Args:
        options: values of a command's options, which override all others; None is ignored.

    Raises:
        SettingsError: if a setting is unknown or invalid.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings.model_validate({**_read_toml_file(), **_read_environment(), **given})
    except ValidationError as exc:
        raise SettingsError("; ".join(_describe_error(error) for error in exc.errors())) from exc


def _read_toml_file() -> dict[str, Any]:
    path = Path(TOML_FILE).absolute()
    if not path.is_file():
        return {}
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise SettingsError(f"{path}: {exc}") from exc


def _read_environment() -> dict[str, str]:
    """Read the settings in environment variables.

    Raises:
        SettingsError: if a CITEWIRE_* variable is unknown, so that a misspelled one is not silently ignored.
    """
    known = {
        str(field.validation_alias or PREFIX + name.upper()): str(field.validation_alias or name)
        for name, field in Settings.model_fields.items()
    }
    values = {}
    for name in sorted(os.environ):
        if name.upper() in known:
            values[known[name.upper()]] = os.environ[name]
        elif name.upper().startswith(PREFIX):
            names = ", ".join(sorted(variable for variable in known if variable.startswith(PREFIX)))
            raise SettingsError(f"{name} is not a setting; known are {names}")
    return values


def _describe_error(error: Any) -> str:
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = ", ".join(Settings.model_fields)
        return f"{field!r} in {Path(TOML_FILE).absolute()} is not a setting; known are {known}"
    return f"{PREFIX}{field.upper()} (or {field} in {TOML_FILE}): {error['msg']}"
