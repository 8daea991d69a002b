"""Sentence-by-sentence check of a text for `citewire check`."""

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


def run_check(services: Services, text: str, *, as_json: bool) -> None:
    """Check each sentence of a text and print the results.

    Args:
        text: the text, the path of a file, or "-" for stdin.
        as_json: print a JSON line for each sentence; stdin then has JSON lines, too.

    Raises:
        CitewireError: if there is no sentence, or if rows were invalid; the others are checked anyway.
    """
    # A byte that is not UTF-8 must not lose the rest of the input.
    if text == "-" and isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if as_json and text == "-":
        _check_rows(services, sys.stdin)
        return
    sentences = list(_split_sentences(_read_input(text)))
    if not sentences:
        raise CitewireError("there is no sentence to check")
    for n, sentence in enumerate(sentences, start=1):
        checked = _get_checker(services).check(sentence)
        if as_json:
            _print_json_line(n, checked, sentence=sentence)
        else:
            _print_result(checked)


def _check_rows(services: Services, lines: Iterable[str]) -> None:
    from bot.answering.fact_check import check_against_text

    failed = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _parse_row(line)
        except ParseError as exc:
            failed += 1
            console.err.print(f"citewire: -:{number}: {exc}", soft_wrap=True)
            continue
        sentence, source = clean_text(row["sentence"]), row.get("source")
        checked = (
            check_against_text(services.verifier, sentence, clean_text(source))
            if source is not None
            else _get_checker(services).check(sentence)
        )
        _print_json_line(row.get("id", number), checked)
    if failed:
        raise CitewireError(f"{failed} rows could not be read; the others are checked")


def _parse_row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as exc:
        raise ParseError("not valid JSON") from exc
    if not isinstance(row, dict) or not isinstance(row.get("sentence"), str):
        raise ParseError('expected an object with "sentence", a text')
    if not isinstance(row.get("source"), str | None):
        raise ParseError('"source" is no text')
    return row


def _get_checker(services: Services) -> FactChecker:
    if services.articles.is_empty():
        raise CitewireError(f"no articles in {services.settings.data_dir}: run `citewire ingest PATH` first")
    return services.fact_checker()


def _read_input(text: str) -> str:
    """Return stdin for "-", the content of the file if the text is a path, else the text."""
    if text == "-":
        return sys.stdin.read()
    try:
        is_file = len(text) < 1_000 and Path(text).is_file()
        return Path(text).read_text("utf-8", errors="replace") if is_file else text
    except (OSError, ValueError) as exc:
        raise CitewireError(f"{text[:80]}: cannot be read: {exc}") from exc


def _split_sentences(text: str) -> Iterator[str]:
    from bot.answering.generation.output_parser import StreamingAnswerParser

    # The text may contain citation markers of an answer, which are not part of its sentences.
    parser = StreamingAnswerParser(passages=0)
    for claim in [*parser.feed(text), *parser.close()]:
        yield claim.text


def _print_json_line(row_id: object, checked: CheckResult, **more: Any) -> None:
    fields = {
        "id": row_id,
        **more,
        "verdict": checked.verdict,
        "score": checked.score,
        "reason": checked.reason,
        "citations": [citation.model_dump(mode="json") for citation in checked.citations],
    }
    print(json.dumps(fields, ensure_ascii=False), flush=True)


def _print_result(checked: CheckResult) -> None:
    from bot.cli.render import print_citation

    console.out.print(Text(f"{checked.verdict:<12}", style=_STYLES[checked.verdict]) + Text(checked.sentence))
    console.out.print(Text(f"            {checked.reason}", style="dim"), soft_wrap=True)
    for citation in checked.citations:
        print_citation(citation)
