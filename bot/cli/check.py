"""`citewire check`: reads what is to be checked, and prints a verdict a sentence."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from bot.articles.article import clean_text
from bot.cli import console
from bot.errors import CitewireError, ParseError

if TYPE_CHECKING:
    from bot.answering.fact_check import CheckResult, FactChecker
    from bot.services import Services

_STYLES = {"supported": "green", "weak": "yellow", "unsupported": "bold red"}


def run_check(workspace: Services, text: str, *, as_json: bool) -> None:
    """Check a text, a file, or what is piped in for "-". Raises CitewireError where a row could not be read.

    What can be read is checked all the same.
    """
    if text == "-" and isinstance(
        sys.stdin, io.TextIOWrapper
    ):  # a byte that is no UTF-8 must not lose the rest
        sys.stdin.reconfigure(errors="replace")
    if as_json and text == "-":
        _check_rows(workspace, sys.stdin)
        return
    sentences = list(_sentences(_read(text)))
    if not sentences:
        raise CitewireError("there is no sentence to check")
    for n, sentence in enumerate(sentences, start=1):
        checked = _checker(workspace).check(sentence)
        if as_json:
            _print_row(n, checked, sentence=sentence)
        else:
            _show(checked)


def _check_rows(workspace: Services, lines: Iterable[str]) -> None:
    from bot.answering.fact_check import check_against_text

    failed = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _row(line)
        except ParseError as exc:
            failed += 1
            console.err.print(f"citewire: -:{number}: {exc}", soft_wrap=True)
            continue
        sentence, source = clean_text(row["sentence"]), row.get("source")
        checked = (
            check_against_text(workspace.verifier, sentence, clean_text(source))
            if source is not None
            else _checker(workspace).check(sentence)
        )
        _print_row(row.get("id", number), checked)
    if failed:
        raise CitewireError(f"{failed} rows could not be read; the others are checked")


def _row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as exc:
        raise ParseError("not valid JSON") from exc
    if not isinstance(row, dict) or not isinstance(row.get("sentence"), str):
        raise ParseError('expected an object with "sentence", a text')
    if not isinstance(row.get("source"), str | None):
        raise ParseError('"source" is no text')
    return row


def _checker(workspace: Services) -> FactChecker:
    if workspace.articles.is_empty():
        raise CitewireError(f"no articles in {workspace.settings.data_dir}: run `citewire ingest PATH` first")
    return workspace.checker()


def _read(text: str) -> str:
    """Return what is to be checked: stdin for "-", a file's content where the text names one, else the text."""
    if text == "-":
        return sys.stdin.read()
    try:
        is_file = len(text) < 1_000 and Path(text).is_file()
        return Path(text).read_text("utf-8", errors="replace") if is_file else text
    except (OSError, ValueError) as exc:
        raise CitewireError(f"{text[:80]}: cannot be read: {exc}") from exc


def _sentences(text: str) -> Iterator[str]:
    from bot.answering.generation.output_parser import StreamingAnswerParser

    parser = StreamingAnswerParser(
        passages=0
    )  # a text may hold an answer's marks; they are no part of its sentences
    for claim in [*parser.feed(text), *parser.close()]:
        yield claim.text


def _print_row(row_id: object, checked: CheckResult, **more: Any) -> None:
    fields = {
        "id": row_id,
        **more,
        "verdict": checked.verdict,
        "score": checked.score,
        "reason": checked.reason,
        "citations": [citation.model_dump(mode="json") for citation in checked.citations],
    }
    print(json.dumps(fields, ensure_ascii=False), flush=True)


def _show(checked: CheckResult) -> None:
    from bot.cli.render import print_citation

    console.out.print(Text(f"{checked.verdict:<12}", style=_STYLES[checked.verdict]) + Text(checked.sentence))
    console.out.print(Text(f"            {checked.reason}", style="dim"), soft_wrap=True)
    for citation in checked.citations:
        print_citation(citation)
