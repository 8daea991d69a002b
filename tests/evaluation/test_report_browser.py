"""The HTML report in a real browser: what a reader does with it, by keyboard and on a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from run_factory import GOLD, case, outcome, run, run_of
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from bot.evaluation.metrics import summarize
from bot.evaluation.models import Outcome, Run
from bot.evaluation.reports import write_report

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
)  # fmt: skip
HOSTILE = "</script><script>alert(1)</script><img src=//x.example/i.png onerror=alert(2)>" + "W" * 300

pytestmark = pytest.mark.skipif(
    not (CHROMIUM.exists() and DRIVER.exists()), reason=f"needs {CHROMIUM} and {DRIVER}"
)


def tagged(one: Outcome, *tags: str) -> Outcome:
    return replace(one, case=replace(one.case, tags=tags))


def hostile() -> Outcome:
    asked = case(77, answers=(HOSTILE, GOLD), articles=(HOSTILE,), tags=("sport", HOSTILE))
    one = outcome(replace(asked, question=f"{HOSTILE} Þórbergur Çağrı?"), f"{HOSTILE} {GOLD}", cited=[True])
    return replace(one, passages=tuple(replace(hit, title=HOSTILE, text=HOSTILE) for hit in one.passages))


def made_run() -> Run:
    """Twelve questions: four right, one badly cited, two refused wrongly …, and one of hostile texts."""
    right = [outcome(case(90 + n, tags=("world",)), GOLD, cited=[True]) for n in range(3)]
    others = [
        tagged(one, "sport" if n % 2 else "world") for n, one in enumerate(run_of("+00-.!x").outcomes[1:])
    ]
    return run([*right, hostile(), tagged(run_of("+").outcomes[0]), *others], testset={"name": HOSTILE})


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chrome]:
    monkeypatch.setenv("SE_OFFLINE", "true")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield opened
    finally:
        opened.quit()


class Reader:
    """What somebody does with the page, and what they see."""

    def __init__(self, browser: Chrome) -> None:
        self.browser = browser

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def shown(self) -> list[str]:
        """The ids of the questions in sight."""
        rows = self.browser.find_elements(By.CSS_SELECTOR, "#questions > tbody > tr")
        return [row.find_element(By.CSS_SELECTOR, "summary code").text for row in rows if row.is_displayed()]

    def told(self, count: int) -> bool:
        """Wait until the page says that it shows so many questions, and compare that with those in sight."""
        said = f"{count} of 11 questions shown"
        wait = WebDriverWait(self.browser, 5, poll_frequency=0.05)
        wait.until(lambda _: self.find("#shown").text == said, f"{said!r} was not said")
        return len(self.shown()) == count

    def press(self, *keys: str) -> WebElement:
        """Send keys to where the focus is, and return where it is then; it has to be seen there."""
        for key in keys:
            self.browser.switch_to.active_element.send_keys(key)
        focused = self.browser.switch_to.active_element
        style = (
            "const s = getComputedStyle(arguments[0]); return [s.outlineStyle, parseFloat(s.outlineWidth)]"
        )
        outline, width = self.browser.execute_script(style, focused)
        assert (outline, width >= 2) == ("solid", True), focused.get_attribute("outerHTML")
        return focused

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        script = "const d = document.documentElement; return d.scrollWidth - d.clientWidth"
        return int(self.browser.execute_script(script))

    def cut_off(self, selector: str) -> list[str]:
        """Return the texts that are wider than their cells, and so lie over the next ones."""
        script = "return [...document.querySelectorAll(arguments[0])].filter((one) => one.scrollWidth > one.clientWidth + 1)"
        return [one.text for one in self.browser.execute_script(script, selector)]

    def resize(self, width: int) -> None:
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def requests(self) -> set[str]:
        """Return the addresses that the page asked for; the browser's own new tab has a script or two."""
        events = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return {one["request"]["url"] for one in sent if not one["documentURL"].startswith("chrome:")}


def filter_and_search(reader: Reader) -> None:
    assert reader.told(11)
    Select(reader.find("#result")).select_by_value("wrong")
    assert reader.told(6)
    Select(reader.find("#result")).select_by_visible_text("refused wrongly")
    assert reader.told(2)
    Select(reader.find("#tag")).select_by_visible_text("world")
    assert reader.told(1)
    reader.find("button[type=reset]").click()
    assert reader.told(11)
    reader.find("#words").send_keys("cagri  ÞORBERGUR")  # folded, in any order
    assert reader.told(1)
    assert reader.shown() == ["q77"]
    reader.find("#words").send_keys(" nowhere")
    assert reader.told(0)
    reader.find("button[data-value='answered the unanswerable']").click()  # what was typed gives way
    assert reader.told(1)
    assert reader.find("#words").get_attribute("value") == ""
    reader.find("button[data-filter=tag]").click()
    assert reader.told(len([one for one in made_run().outcomes if "world" in one.case.tags]))


def open_by_keyboard(reader: Reader) -> None:
    """From the top of the page to an open question, with nothing but keys; all that takes the focus shows it."""
    reader.browser.refresh()
    seen = [reader.press(Keys.TAB)]
    while seen[-1].tag_name != "summary" and len(seen) < 40:
        seen.append(reader.press(Keys.TAB))
    assert [one.tag_name for one in seen].count("a") == 5
    assert {"words", "result", "tag"} <= {one.get_attribute("id") for one in seen}
    answer = reader.find("#questions details .opened")
    assert not answer.is_displayed()
    summary = reader.press(Keys.ENTER)
    assert answer.is_displayed()
    assert f"Gold answer\n{GOLD}" in answer.text
    assert [mark.text for mark in answer.find_elements(By.TAG_NAME, "mark")] == [GOLD]
    assert summary.tag_name == "summary"
    reader.press(Keys.SPACE)
    assert not answer.is_displayed()


def read_on_a_phone(reader: Reader) -> None:
    for width in (390, 1280, 320):
        reader.resize(width)
        reader.browser.execute_script(
            "document.querySelectorAll('details').forEach((one) => one.open = true)"
        )
        assert reader.overflow() == 0, width
        assert reader.cut_off(".figures th, .figures td:not(.drawn)") == [], width
        assert reader.find(".figures td.meaning").is_displayed()


def test_a_reader_filters_searches_opens_and_scrolls(browser: Chrome, tmp_path: Path) -> None:
    made, path = made_run(), tmp_path / "report.html"
    write_report(made, summarize(made.outcomes), None, path)
    reader = Reader(browser)
    browser.get(path.as_uri())
    filter_and_search(reader)
    open_by_keyboard(reader)
    read_on_a_phone(reader)
    assert browser.get_log("browser") == []  # no error, and nothing that the page's policy had to stop
    assert reader.requests() == {path.as_uri()}
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
