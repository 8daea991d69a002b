"""Chat models: any provider by its name, what they took, and troubles told without a secret."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from langchain_core.messages import AIMessage

from bot.answering.answer import Pricing, Usage
from bot.errors import ChatModelError
from bot.llm import EXTRAS, describe_error, load_chat_model, max_output_tokens, redact_secrets
from bot.settings import load_settings

KEY = "sk-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("openai:gpt-4o", "key variable"),
        ("mistralai:x", "pip install langchain-mistralai"),
        ("nonsense", "provider:model"),
        ("nonsense:x", "provider:model"),
        ("", "provider:model"),
    ],
)
def test_what_cannot_be_set_up_says_what_to_do(name: str, words: str) -> None:
    with pytest.raises(ChatModelError, match=words) as refused:
        load_chat_model(name, load_settings())
    assert refused.value.__cause__ is None  # whose text `-v` would print


def test_a_missing_package_is_named_by_the_extra_that_brings_it() -> None:
    packages = ("langchain_openai", "langchain_anthropic", "langchain_ollama", "langchain_google_genai")
    program = f"""
import sys
from bot.llm import EXTRAS, load_chat_model
from bot.errors import ChatModelError
from bot.settings import load_settings
sys.modules.update(dict.fromkeys({packages!r}))  # none of them can be imported
for provider in EXTRAS:
    try:
        load_chat_model(f"{{provider}}:some-model", load_settings())
    except ChatModelError as exc:
        print(exc)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert [line.partition("pip install ")[2] for line in said.splitlines()] == [
        f"'citewire[{extra}]'" for extra in EXTRAS.values()
    ]


def test_a_server_of_one_s_own_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(chat_base_url="http://127.0.0.1:9/v1", chat_budget=2_000, chat_timeout=3.0)
    model = load_chat_model("openai:local", settings)
    assert model.max_tokens == max_output_tokens(settings) == 500  # type: ignore[attr-defined]
    assert (model.temperature, model.request_timeout) == (0, 3.0)  # type: ignore[attr-defined]


def test_a_model_that_refuses_a_temperature_is_given_none() -> None:
    settings = load_settings(chat_base_url="http://127.0.0.1:9/v1")
    assert load_chat_model("openai:gpt-5", settings).temperature is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {KEY}.",
        "Incorrect API key provided: sk-ab***************wxyz.",
        "Authorization: Bearer abcdefghijklmnop.qrs",
        "the password is hunter2-hunter2 here",
    ],
)
def test_secrets_are_taken_out(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2-hunter2")
    told = redact_secrets(text)
    assert "***" in told
    assert not any(secret in told for secret in (KEY, "sk-ab", "abcdefghijklmnop", "hunter2"))


def test_words_are_left_as_they_are() -> None:
    text = "The key question of the token sale: who paid $1,000?"
    assert redact_secrets(text) == text


class _RefusedError(Exception):
    def __init__(self, status: object) -> None:
        super().__init__(f"key {KEY}\nand more")
        self.status_code = status


class _ReadTimeoutError(Exception):
    pass


@pytest.mark.parametrize(
    ("exc", "words"),
    [
        (_RefusedError(401), "refused the key (HTTP 401)"),
        (_RefusedError(404), "does not know this model (HTTP 404)"),
        (_RefusedError(429), "asks for fewer requests, or its quota is used up (HTTP 429)"),
        (_RefusedError(500), "server failed (HTTP 500)"),
        (_RefusedError(599), "server failed (HTTP 599)"),
        (_RefusedError(None), "_RefusedError: ***"),
        (_ReadTimeoutError(), "took too long"),
        (TimeoutError(), "took too long"),
        (ConnectionResetError(), "cannot be reached"),
        (ValueError(""), "ValueError: no reason given"),
    ],
)
def test_troubles_are_told_in_a_few_words(
    exc: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert words in describe_error(exc)
    assert KEY not in describe_error(exc)


def test_tokens_are_added_up_and_priced() -> None:
    counted = AIMessage("x", usage_metadata={"input_tokens": 100, "output_tokens": 20, "total_tokens": 120})
    spent = ((90, counted), (10, counted))
    assert Pricing().compute_usage(spent) == Usage(input_tokens=200, output_tokens=40)
    assert Pricing(input_price=2.0, output_price=10.0).compute_usage(spent).cost == pytest.approx(
        (200 * 2 + 40 * 10) / 1e6
    )
    by_length = Pricing(input_price=1.0).compute_usage([(50, AIMessage("x" * 40)), (7, None)])
    assert by_length == Usage(input_tokens=57, output_tokens=10, cost=0.000057, estimated=True)


def test_setting_a_model_up_logs_no_key(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with caplog.at_level(logging.DEBUG):
        load_chat_model("openai:gpt-4o", load_settings())
    assert KEY not in caplog.text
