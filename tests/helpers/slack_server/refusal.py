"""How Slack says no."""

from __future__ import annotations

from typing import Any


class Refused(Exception):  # noqa: N818 - it is Slack's answer, not an error of the tests
    """Slack's answer `{"ok": false, "error": code}`; `why` is for the reader of a failed test."""

    def __init__(self, code: str, why: str = "", **answer: Any) -> None:
        super().__init__(f"{code}: {why}" if why else code)
        self.code, self.why = code, why
        self.answer = {"ok": False, "error": code} | answer
        if why:
            self.answer["response_metadata"] = {"messages": [f"[ERROR] {why}"]}


def refuse(holds: bool, code: str, why: str = "") -> None:
    """Raise when it holds."""
    if holds:
        raise Refused(code, why)
