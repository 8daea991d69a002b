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

    data_dir: Path = Field(default_factory=_default_data_dir, description="Where library and indexes live.")
    database_url: str = Field(
        default="", description="SQLAlchemy URL of the library; empty: SQLite in the data folder."
    )
    chroma_url: str = Field(
        default="",
        description="A Chroma server, such as http://localhost:8000; empty: embedded in the data folder.",
    )
    chroma_headers: dict[str, SecretStr] = Field(
        default={}, description="Headers that every call to it bears, such as Chroma Cloud's x-chroma-token."
    )
    chroma_tenant: str = Field(default="default_tenant", description="Whose database is used there.")
    chroma_database: str = Field(default="default_database", description="The database used there.")
    chroma_ca_file: Path | None = Field(
        default=None, description="Certificates that it is trusted by; none: those of public authorities."
    )
    embedding_model: str = Field(
        default="",
        description="A sentence-transformers model, by name or folder; empty: the packaged all-MiniLM-L6-v2.",
    )
    embedding_precision: Literal["float32", "int8"] = Field(
        default="float32",
        description="int8: the model's weights rounded, which embeds faster on a CPU and finds slightly less.",
    )
    language: Language = Field(
        default="english", description="What the words of articles and questions are stemmed as."
    )
    rerank_model: str = Field(
        default="",
        description="A sentence-transformers CrossEncoder that judges the 30 best passages; empty: none.",
    )
    reader_model: str = Field(
        default="",
        description="A Hugging Face question-answering model, by name or folder; empty: the packaged reader.",
    )
    min_confidence: float = Field(
        default=0.4, ge=0, le=1, description="The confidence from which a question is answered."
    )
    closest_confidence: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="The confidence from which the closest passage is shown if the question is not answered.",
    )
    device: str = Field(default="", description="cpu, cuda, mps …; empty: sentence-transformers picks.")
    chat_model: str = Field(
        default="", description="The chat model that composes answers, as provider:model; empty: quotes only."
    )
    chat_base_url: str = Field(
        default="", description="Another server for it, such as an OpenAI-compatible one of your own."
    )
    chat_timeout: float = Field(
        default=60, gt=0, le=3600, description="Seconds to wait for the chat model's next words."
    )
    chat_budget: int = Field(
        default=8_000,
        ge=1_000,
        description="Tokens an answer may cost, the prompt with its passages included.",
    )
    chat_price_in: float = Field(
        default=0, ge=0, description="Dollars for a million tokens read; 0: unknown."
    )
    chat_price_out: float = Field(
        default=0, ge=0, description="Dollars for a million tokens written; 0: unknown."
    )
    support_model: str = Field(
        default="",
        description="A CrossEncoder with entailment labels that has a say in what is supported; empty: none.",
    )
    support_judge: str = Field(
        default="",
        description="A chat model that has a say in what is supported, as provider:model; empty: none.",
    )

    fetch_allow: tuple[str, ...] = Field(
        default=(),
        description="Hosts and networks that may be fetched from though they are private, such as 10.1.0.0/16.",
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
        description="What its requests are signed with, for HTTP mode.",
    )
    slack_api_url: str = Field(default="https://slack.com/api/", description="Slack's Web API.")
    slack_channels: Ids = Field(
        default=(), description="The ids of the channels in which it answers; empty: wherever it was invited."
    )
    slack_users: Ids = Field(default=(), description="The ids of the people it answers; empty: everybody.")
    slack_external_channels: Ids = Field(
        default=(), description="Channels shared with other companies in which it answers all the same."
    )
    slack_admins: Ids = Field(
        default=(), description="The people who may say which outlets a channel is answered from."
    )
    slack_helpers: str = Field(
        default="",
        description="A user group's id (S…) or a person's, called by *Ask a person*; empty: no such button.",
    )
    slack_concurrency: int = Field(default=4, ge=1, le=64, description="Answers that are worked on at once.")
    slack_waiting: int = Field(default=5, ge=1, description="Questions that one person may have waiting.")

    public_url: str = Field(
        default="",
        description="The HTTP service's address as readers reach it; empty: no links to its pages.",
    )
    api_tokens: dict[str, SecretStr] = Field(
        default={}, description="Who may use the HTTP service: name:token, by name; none: this machine alone."
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="Proxies of the HTTP service whose X-Forwarded-For is believed, by address or network.",
    )
    serve_rate: int = Field(default=60, ge=1, description="Questions a minute of one token or address.")
    serve_concurrency: int = Field(
        default=4, ge=1, le=64, description="Answers over HTTP that are worked on at once."
    )
    serve_waiting: int = Field(default=16, ge=0, le=1_000, description="Questions that may wait for that.")
    serve_timeout: float = Field(
        default=120,
        gt=0,
        le=3_600,
        description="Seconds that an answer over HTTP may take, waiting included.",
    )
    log_format: Literal["", "json", "text"] = Field(
        default="", description="A service's log; empty: text in a terminal, JSON lines elsewhere."
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
