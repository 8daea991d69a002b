"""An evidence page in a real browser: the quote is there when it opens, on a phone too, and nothing is fetched or run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import make
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from service_app import StartService
from test_report_browser import ARGUMENTS, CHROMIUM, DRIVER, HOSTILE

from bot.articles.chunking import Span

pytestmark = pytest.mark.skipif(
    not (CHROMIUM.exists() and DRIVER.exists()), reason=f"needs {CHROMIUM} and {DRIVER}"
)
QUOTE = "The dam broke on Monday in the valley of the river."


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chrome]:
    monkeypatch.setenv("SE_OFFLINE", "true")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Driver(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.mark.parametrize("width", [1_280, 360])
def test_the_quote_is_in_sight_when_the_page_opens(
    browser: Chrome, start_service: StartService, width: int
) -> None:
    filler = "It rained in the hills for days and days and nobody went out. " * 150
    text = f"{HOSTILE} {filler}\n\n{QUOTE} {filler}"
    service = start_service(
        articles=[make({"id": "dam", "title": f"Dam {HOSTILE}", "source": HOSTILE, "text": text})]
    )
    start = text.index(QUOTE)
    [passage] = [
        one
        for one in service.workspace.articles.article_version("dam").passages
        if one.start <= start < one.end
    ]  # type: ignore[union-attr]
    link = service.workspace.signed_links.link("dam", 1, Span(start, start + len(QUOTE)), passage.id)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.get(f"{service.url}{link}")
    mark = browser.execute_script(
        "const box = document.querySelector('mark').getBoundingClientRect();"
        "return {top: box.top, bottom: box.bottom, text: document.querySelector('mark').textContent}"
    )
    assert mark["text"] == QUOTE
    assert 0 <= mark["top"] < mark["bottom"] <= 800
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return document.scripts.length + document.images.length") == 0
    assert (
        browser.execute_script("return getComputedStyle(document.querySelector('mark')).backgroundColor")
        == "rgb(255, 228, 138)"
    )
    assert [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]] == []
