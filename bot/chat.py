"""A conversation in the terminal, or through a pipe."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot import terminal
from bot.errors import CitewireError

if TYPE_CHECKING:
    from bot.answers.answer import Answer
    from bot.workspace import Workspace

_HELP = """\
Ask in plain words; follow up with "and when?", "what about Paris?".
:right, :wrong [NOTE]   judge the last answer
:new                    forget the conversation and start another
:help                   this text
:quit                   leave (so does Ctrl-D)"""
_REMEMBERED = 6  # questions a follow-up may lean on


def run_chat(workspace: Workspace) -> None:
    """Answer question after question until the input ends."""
    totals = workspace.library.totals()
    if sys.stdin.isatty():
        _load_in_background(workspace)
        terminal.out.print(f"{totals.articles:,} articles. Ask away; :help for help, Ctrl-D to leave.")
    chat = _Chat(workspace)
    for line in _lines():
        if line.strip() in (":quit", ":q", ":exit"):
            break
        with terminal.told_errors():
            chat.hear(line.strip())


class _Chat:
    """One conversation: the questions so far, and the last answer."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._history: list[str] = []
        self._last: Answer | None = None

    def hear(self, line: str) -> None:
        """Do what a line says: answer it, or obey it where it begins with a colon."""
        command, _, rest = line.partition(" ")
        if line == ":new":
            self._history.clear()
            terminal.out.print("A new conversation.")
        elif command in (":right", ":wrong"):
            self._judge(command[1:], rest)
        elif line.startswith(":"):
            terminal.out.print(_HELP)
        elif line:
            self._answer(line)

    def _answer(self, question: str) -> None:
        from bot.answers.chain import Question

        with terminal.working("Reading the articles"):
            answer = self._workspace.chain.invoke(Question(question, history=tuple(self._history)))
            self._workspace.journal.remember(answer)
        terminal.print_answer(answer)
        terminal.out.print()
        self._last = answer
        if answer.status in ("answered", "not_found"):
            self._history = [*self._history, question][-_REMEMBERED:]

    def _judge(self, verdict: str, note: str) -> None:
        if self._last is None:
            terminal.out.print("There is no answer to judge yet.")
            return
        self._workspace.journal.judge(self._last.id, verdict, note)
        terminal.out.print("Noted; `citewire eval harvest` makes a test question of it.")


def _lines() -> Iterator[str]:
    if not sys.stdin.isatty():
        if isinstance(sys.stdin, io.TextIOWrapper):  # a byte that is no UTF-8 must not end the conversation
            sys.stdin.reconfigure(errors="replace")
        yield from sys.stdin
        return
    import readline  # noqa: F401 - importing it gives input() line editing and history

    while True:
        try:
            yield input("\n› ")
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print("\n(Ctrl-D or :quit leaves)")


def _load_in_background(workspace: Workspace) -> None:
    """Load the model while the first question is being typed."""

    def load() -> None:
        with contextlib.suppress(CitewireError):  # the first question meets the same error and tells it
            workspace.embedder.load()

    threading.Thread(target=load, daemon=True).start()
