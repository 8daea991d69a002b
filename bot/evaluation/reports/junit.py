"""JUnit XML for CI, with one test case per question and per gate."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from bot.articles.article import clean_line, clean_text
from bot.evaluation.error_analysis import classify, is_gradable
from bot.evaluation.models import Outcome, Run
from bot.evaluation.reports.summary import RESULTS, missing_questions

if TYPE_CHECKING:
    from bot.evaluation.gates import GateResult, Verdict

_MAX_NAME_CHARS = 200  # of a test case


def build_junit(run: Run, verdict: Verdict | None) -> bytes:
    """Return the XML.

    A question that went wrong is a failure with its error category, and a failed question is an error. Questions that
    cannot be judged are skipped. All questions that have not been asked are one error.
    """
    root = ET.Element("testsuites", name="citewire eval")
    questions = ET.SubElement(root, "testsuite", name="questions")
    for outcome in run.outcomes:
        _add_question(questions, outcome)
    _add_missing(questions, missing_questions(run))
    gates = ET.SubElement(root, "testsuite", name="gates")
    for result in verdict.results if verdict is not None else ():
        _add_gate(gates, result)
    for suite in (questions, gates):
        _set_counts(suite)
    _set_totals(root, (questions, gates))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _add_question(suite: ET.Element, outcome: Outcome) -> None:
    seconds = f"{outcome.milliseconds / 1000:.3f}"
    name = clean_line(f"{outcome.case.id}: {outcome.case.question}")[:_MAX_NAME_CHARS]
    case = ET.SubElement(suite, "testcase", classname="questions", name=name, time=seconds)
    diagnosis = classify(outcome)
    if diagnosis == "failed":
        said = clean_line(outcome.error or "the answer's status is error")
        ET.SubElement(case, "error", type=diagnosis, message=said).text = _describe(outcome)
    elif diagnosis:
        message = f"{diagnosis}: {RESULTS[diagnosis]}"
        ET.SubElement(case, "failure", type=diagnosis, message=message).text = _describe(outcome)
    elif not is_gradable(outcome):
        ET.SubElement(case, "skipped", message="the test set does not say enough to judge it")


def _describe(outcome: Outcome) -> str:
    case, answer = outcome.case, outcome.answer
    lines = (
        f"question: {case.question}",
        f"gold: {' | '.join(case.answers) or '–'}",
        f"gold articles: {' | '.join(case.articles) or '–'}",
        f"answer ({answer.status}): {answer.text}" if answer else "answer: –",
    )
    return clean_text("\n".join(lines))


def _add_missing(suite: ET.Element, missing: int) -> None:
    if missing:
        case = ET.SubElement(suite, "testcase", classname="questions", name="the run is complete", time="0")
        ET.SubElement(case, "error", type="incomplete", message=f"questions not asked yet: {missing}")


def _add_gate(suite: ET.Element, result: GateResult) -> None:
    message = clean_line(result.message)
    # The name is the same in every run.
    case = ET.SubElement(suite, "testcase", classname="gates", name=result.name, time="0")
    if not result.passed:
        ET.SubElement(case, "failure", type="gate", message=message).text = message


def _set_counts(suite: ET.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for kind, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(kind) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")


def _set_totals(root: ET.Element, suites: tuple[ET.Element, ...]) -> None:
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    root.set("time", f"{sum(float(suite.get('time', '0')) for suite in suites):.3f}")
