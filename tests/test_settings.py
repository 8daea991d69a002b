"""Settings: an option over the environment over citewire.toml over the default; what is misspelt is refused."""

from __future__ import annotations

import json
import os
import traceback
from pathlib import Path

import pytest

from bot.errors import SettingsError
from bot.settings import Settings, load_settings


def write_toml(text: str) -> Path:
    path = Path("citewire.toml").absolute()  # conftest has made a temporary folder the working directory
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_set_gives_the_packaged_model_and_everything_in_the_data_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CITEWIRE_DATA_DIR")
    settings = load_settings()
    assert (settings.embedding_model, settings.database_url, settings.chroma_url) == ("", "", "")
    assert settings.data_dir.is_absolute()
    assert settings.data_dir.name == "citewire"


@pytest.mark.parametrize(
    ("toml", "variable", "option", "expected"),
    [
        ("", None, None, ""),
        ('device = "toml"', None, None, "toml"),
        ("", "env", None, "env"),
        ("", None, "option", "option"),
        ('device = "toml"', "env", None, "env"),
        ('device = "toml"', None, "option", "option"),
        ('device = "toml"', "env", "option", "option"),
        ('device = "toml"', "", None, ""),  # said to be empty is not the same as not said
    ],
)
def test_each_source_wins_over_those_below_it(
    monkeypatch: pytest.MonkeyPatch, toml: str, variable: str | None, option: str | None, expected: str
) -> None:
    write_toml(toml)
    if variable is not None:
        monkeypatch.setenv("CITEWIRE_DEVICE", variable)
    assert load_settings(device=option).device == expected


def test_every_setting_can_come_from_either_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = {
        "embedding_precision": ("int8", "float32"),
        "language": ("german", "french"),
        "min_confidence": ("0.25", "0.75"),
        "closest_confidence": ("0.05", "0.15"),
        "chroma_url": ("http://toml.example:8000", "https://env.example/chroma"),
        "chat_base_url": ("http://toml.example/v1", "https://env.example"),
        "chat_timeout": ("1.5", "2.5"),
        "chat_budget": ("2000", "3000"),
        "chat_price_in": ("0.5", "1.5"),
        "chat_price_out": ("2.5", "3.5"),
        "fetch_delay": ("0.5", "2.5"),
        "slack_api_url": ("http://toml.example/api/", "http://env.example/api/"),
        "slack_helpers": ("S0TOML", "U0ENV"),
        "slack_concurrency": ("2", "3"),
        "slack_waiting": ("2", "3"),
        "public_url": ("https://toml.example", "https://env.example/citewire"),
        "serve_rate": ("2", "3"),
        "serve_concurrency": ("2", "3"),
        "serve_waiting": ("2", "3"),
        "serve_timeout": ("1.5", "2.5"),
        "log_format": ("json", "text"),
    }
    tables = ("chroma_headers", "chroma_ca_file", "api_tokens")  # below
    for name, field in Settings.model_fields.items():
        if field.validation_alias or name in LISTS or name in tables:
            continue
        toml, variable = own.get(name, (str(tmp_path / "from-toml"), str(tmp_path / "from-env")))
        monkeypatch.delenv(f"CITEWIRE_{name.upper()}", raising=False)
        write_toml(f'{name} = "{toml}"')
        assert str(getattr(load_settings(), name)) == toml
        monkeypatch.setenv(f"CITEWIRE_{name.upper()}", variable)
        assert str(getattr(load_settings(), name)) == variable
        monkeypatch.delenv(f"CITEWIRE_{name.upper()}")


LISTS = {
    "fetch_allow": "intranet.example",
    "trusted_proxies": "10.1.0.7",
    "slack_channels": "C0NEWS",
    "slack_users": "U0ANN",
    "slack_external_channels": "C0SHARED",
    "slack_admins": "U0ANN",
}


@pytest.mark.parametrize(("name", "one"), LISTS.items())
def test_ids_are_listed_with_commas_or_blanks(monkeypatch: pytest.MonkeyPatch, name: str, one: str) -> None:
    monkeypatch.setenv(f"CITEWIRE_{name.upper()}", f"{one}, {one}1 {one}2")
    assert getattr(load_settings(), name) == (one, f"{one}1", f"{one}2")
    monkeypatch.delenv(f"CITEWIRE_{name.upper()}")
    write_toml(f'{name} = ["{one}"]')
    assert getattr(load_settings(), name) == (one,)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CITEWIRE_FETCH_ALLOW", "http://intranet.example"),
        ("CITEWIRE_FETCH_ALLOW", "10.0.0.0/99"),
        ("CITEWIRE_FETCH_ALLOW", "10.0.0.300"),
        ("CITEWIRE_FETCH_ALLOW", "a_b.example/x"),
        ("CITEWIRE_SLACK_CHANNELS", "#general"),
        ("CITEWIRE_SLACK_CHANNELS", "C0NEWS general"),
        ("CITEWIRE_SLACK_EXTERNAL_CHANNELS", "U0ANN"),
        ("CITEWIRE_SLACK_USERS", "@ann"),
        ("CITEWIRE_SLACK_ADMINS", "C0NEWS"),
        ("CITEWIRE_SLACK_HELPERS", "@desk"),
        ("CITEWIRE_SLACK_HELPERS", "S0DESK, S0NIGHT"),
        ("CITEWIRE_SLACK_API_URL", "slack.com/api"),
        ("CITEWIRE_SLACK_API_URL", "https://me:pw@slack.com/api/"),
    ],
)
def test_what_is_no_id_or_address_of_slack_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        load_settings()


def test_slacks_tokens_have_their_usual_names_and_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SLACK_SIGNING_SECRET": "s3cret"}
    for name, value in tokens.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    shown = repr(settings) + settings.model_dump_json()
    assert settings.slack_bot_token.get_secret_value() == "xoxb-1"
    assert not [value for value in tokens.values() if value in shown]
    monkeypatch.setenv("CITEWIRE_SLACK_BOT_TOKEN", "xoxb-1")
    with pytest.raises(SettingsError, match="CITEWIRE_SLACK_BOT_TOKEN is not a setting"):
        load_settings()


def test_a_variable_s_case_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("citewire_device", "cpu")
    assert load_settings().device == "cpu"


@pytest.mark.parametrize("name", ["CITEWIRE_EMBEDING_MODEL", "CITEWIRE_", "citewire_datadir"])
def test_an_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(
        SettingsError, match=rf"^{name} is not a setting; known are .*CITEWIRE_EMBEDDING_MODEL"
    ):
        load_settings()


@pytest.mark.parametrize("key", ["embeding_model", "CITEWIRE_DEVICE", "options"])
def test_an_unknown_key_is_refused_with_its_file(key: str) -> None:
    path = write_toml(f'[{key}]\nx = "y"' if key == "options" else f'{key} = "x"')
    with pytest.raises(
        SettingsError, match=rf"'{key}' in {path} is not a setting; known are .*embedding_model"
    ):
        load_settings()


@pytest.mark.parametrize(
    "toml", ["device = ", "[device", 'device = "a"\ndevice = "b"', "device = 'cpu", "just words", "\x00"]
)
def test_broken_toml_is_refused_with_its_file(toml: str) -> None:
    path = write_toml(toml)
    with pytest.raises(SettingsError, match=rf"^{path}: "):
        load_settings()


def test_toml_that_is_not_utf_8_is_refused_with_its_file() -> None:
    path = write_toml("")
    path.write_bytes('device = "caf\xe9"'.encode("latin-1"))
    with pytest.raises(SettingsError, match=rf"^{path}: .*utf-8"):
        load_settings()


@pytest.mark.parametrize(("toml", "name"), [("device = 5", "DEVICE"), ("data_dir = []", "DATA_DIR")])
def test_a_value_of_the_wrong_kind_is_refused_with_the_setting_s_name(
    monkeypatch: pytest.MonkeyPatch, toml: str, name: str
) -> None:
    monkeypatch.delenv("CITEWIRE_DATA_DIR")
    write_toml(toml)
    with pytest.raises(SettingsError, match=rf"CITEWIRE_{name} \(or {name.lower()} in citewire\.toml\): "):
        load_settings()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("news", "{here}/news"),
        ("./a/b", "{here}/a/b"),
        ("~/news", "{home}/news"),
        ("~", "{home}"),
        ("/srv/news", "/srv/news"),
        ("Zeitungen für alle", "{here}/Zeitungen für alle"),
    ],
)
@pytest.mark.parametrize("place", ["option", "variable", "toml"])
def test_the_data_folder_is_made_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, expected: str, place: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CITEWIRE_DATA_DIR")
    if place == "variable":
        monkeypatch.setenv("CITEWIRE_DATA_DIR", given)
    elif place == "toml":
        write_toml(f'data_dir = "{given}"')
    settings = load_settings(data_dir=Path(given) if place == "option" else None)
    assert settings.data_dir == Path(expected.format(here=tmp_path, home=tmp_path / "home"))


def test_the_home_of_nobody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITEWIRE_DATA_DIR", "~nobody-of-this-name/news")
    with pytest.raises(SettingsError, match=r"CITEWIRE_DATA_DIR .*~nobody-of-this-name"):
        load_settings()


def test_an_empty_data_folder_is_not_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CITEWIRE_DATA_DIR", "")
    assert load_settings().data_dir != tmp_path


def test_slack_s_own_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SLACK_SIGNING_SECRET": "s"}
    for name, value in tokens.items():
        monkeypatch.setenv(name, value)
    load_settings()
    assert {name: os.environ[name] for name in tokens} == tokens


def test_settings_cannot_be_changed_behind_a_workspace_s_back() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().device = "cuda"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("localhost:8080", "expected an address such as"),
        ("ftp://models.example", "expected an address such as"),
        ("https://user:secret-word@models.example/v1", "holds a user, password or query"),
        ("https://models.example/v1?key=secret-word", "holds a user, password or query"),
    ],
)
def test_a_model_server_s_address_holds_no_secret(
    monkeypatch: pytest.MonkeyPatch, address: str, words: str
) -> None:
    monkeypatch.setenv("CITEWIRE_CHAT_BASE_URL", address)
    with pytest.raises(SettingsError, match=words) as refused:
        load_settings()
    assert "secret-word" not in str(refused.value)


# A Chroma server


SECRET = "ck-secret-word"


def test_headers_for_chroma_come_as_json_or_as_a_table_and_are_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = {"x-chroma-token": SECRET, "X-Team": "news desk"}

    def read() -> dict[str, str]:
        settings = load_settings()
        assert SECRET not in repr(settings) + settings.model_dump_json()
        return {name: value.get_secret_value() for name, value in settings.chroma_headers.items()}

    write_toml(f'[chroma_headers]\nx-chroma-token = "{SECRET}"\nX-Team = "news desk"')
    assert read() == expected
    monkeypatch.setenv("CITEWIRE_CHROMA_HEADERS", '{"x-other": "1"}')
    assert read() == {"x-other": "1"}
    write_toml("")
    monkeypatch.setenv("CITEWIRE_CHROMA_HEADERS", json.dumps(expected))
    assert read() == expected
    monkeypatch.setenv("CITEWIRE_CHROMA_HEADERS", "")
    assert read() == {}


@pytest.mark.parametrize(
    "value",
    [
        f"x-chroma-token: {SECRET}", f'{{"x-chroma-token": "{SECRET}"', f'["{SECRET}"]', f'"{SECRET}"',
        f'{{"x-chroma-token": ["{SECRET}"]}}', f'{{"x-chroma-token": "{SECRET}\\n"}}', f'{{"x": "{SECRET}\\r\\nHost: evil"}}',
        f'{{"x": " {SECRET}"}}', f'{{"x": "{SECRET}\\u0000"}}', f'{{"x": "{SECRET}é"}}', '{"x": ""}', '{"x": 5}', '{"x": null}',
        f'{{"x y": "{SECRET}"}}', f'{{"": "{SECRET}"}}', f'{{"x:": "{SECRET}"}}', f'{{"x\\n": "{SECRET}"}}',
    ],
)  # fmt: skip
def test_what_is_no_header_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CITEWIRE_CHROMA_HEADERS", value)
    with pytest.raises(SettingsError, match=r"^CITEWIRE_CHROMA_HEADERS \(or chroma_headers in") as refused:
        load_settings()
    assert SECRET not in "".join(traceback.format_exception(refused.value))  # as `-v` shows it


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8000", "ftp://chroma.example", "http://", "http://:8000", "http://[::1", "http://host:port",
        "http://chroma.example:70000", "http://a b", "http://chroma.example/\nx", "http://me:pw@chroma.example",
        "http://me@chroma.example", "http://:pw@chroma.example", "https://chroma.example/?token=pw", "https://chroma.example/#x",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_chroma_server_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("CITEWIRE_CHROMA_URL", address)
    with pytest.raises(
        SettingsError, match=r"^CITEWIRE_CHROMA_URL .*such as http://localhost:8000"
    ) as refused:
        load_settings()
    assert "pw" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("name", ["TENANT", "DATABASE"])
@pytest.mark.parametrize("value", ["", ".", "..", "a\nb", "x" * 129])
def test_what_cannot_stand_in_a_path_is_no_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CITEWIRE_CHROMA_{name}", value)
    with pytest.raises(SettingsError, match=f"CITEWIRE_CHROMA_{name}"):
        load_settings()


@pytest.mark.parametrize(
    ("url", "accepted"), [("https://chroma.example", True), ("http://chroma.example", False), ("", False)]
)
def test_certificates_are_for_tls(monkeypatch: pytest.MonkeyPatch, url: str, accepted: bool) -> None:
    monkeypatch.setenv("CITEWIRE_CHROMA_URL", url)
    monkeypatch.setenv("CITEWIRE_CHROMA_CA_FILE", "")
    assert load_settings().chroma_ca_file is None
    monkeypatch.setenv("CITEWIRE_CHROMA_CA_FILE", "/etc/ca.pem")
    if accepted:
        assert load_settings().chroma_ca_file == Path("/etc/ca.pem")
    else:
        with pytest.raises(SettingsError, match=r"CITEWIRE_CHROMA_CA_FILE .*without an https address"):
            load_settings()
