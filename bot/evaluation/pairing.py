"""Which questions two runs have in common: by id and by content, and what is left over is named."""

from __future__ import annotations

from dataclasses import dataclass

from bot.errors import EvaluationError
from bot.evaluation.records import Case, Outcome, Run


@dataclass(frozen=True, slots=True)
class Pairing:
    """The questions of two runs: in both, in one only, and with one id but another content (ids)."""

    pairs: tuple[tuple[Outcome, Outcome], ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    changed: tuple[str, ...]


def pair(a: Run, b: Run) -> Pairing:
    """Pair two runs' outcomes by id and content. Raises EvaluationError for an id that stands twice in a run.

    The pairs are in the order of their ids: which answer came first changes no draw and so no p-value.
    """
    before, after = _by_id(a, "A"), _by_id(b, "B")
    shared = [name for name in before if name in after]
    same = {name: None for name in shared if content(before[name].case) == content(after[name].case)}
    return Pairing(
        pairs=tuple((before[name], after[name]) for name in sorted(same)),
        only_a=tuple(name for name in before if name not in after),
        only_b=tuple(name for name in after if name not in before),
        changed=tuple(name for name in shared if name not in same),
    )


def content(case: Case) -> tuple[object, ...]:
    """Return what makes a question the same one: all but its tags and the keys that Citewire does not know."""
    return (
        case.question,
        case.answers,
        case.long_answers,
        case.articles,
        case.answerable,
        case.asked,
        case.history,
    )


def _by_id(run: Run, name: str) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for outcome in run.outcomes:
        if outcome.case.id in found:
            raise EvaluationError(
                f"run {name} holds question {outcome.case.id!r} twice, so it cannot be compared: run it again"
            )
        found[outcome.case.id] = outcome
    return found
