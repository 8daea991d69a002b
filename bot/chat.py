"""A conversation in the terminal, or through a pipe."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot import terminal
from bot.errors import CitewireError

if TYPE_CHECKING:
    from bot.workspace import Workspace

_HELP = """\
Ask in plain words; follow up with "and when?", "what about Paris?".
:new   forget the conversation and start another
:help  this text
:quit  leave (so does Ctrl-D)"""
_REMEMBERED = 6  # questions a follow-up may lean on


def run_chat(workspace: Workspace) -> None:
    """Answer question after question until the input ends."""
    totals = workspace.library.totals()
    if sys.stdin.isatty():
        _load_in_background(workspace)
        terminal.out.print(f"{totals.articles:,} articles. Ask away; :help for help, Ctrl-D to leave.")
    history: list[str] = []
    for line in _lines():
        command = line.strip()
        if command in (":quit", ":q", ":exit"):
            break
        if command == ":new":
            history.clear()
            terminal.out.print("A new conversation.")
        elif command.startswith(":"):
            terminal.out.print(_HELP)
        elif command:
            _answer(workspace, command, history)


def _answer(workspace: Workspace, question: str, history: list[str]) -> None:
    from bot.answers.chain import Question

    try:
        with terminal.working("Reading the articles"):
            answer = workspace.chain.invoke(Question(question, history=tuple(history)))
        terminal.print_answer(answer)
        if answer.status in ("answered", "not_found"):
            history[:] = [*history, question][-_REMEMBERED:]
    except CitewireError as exc:
        terminal.err.print(f"citewire: {exc}", soft_wrap=True)
    except KeyboardInterrupt:  # ends the answer, not the conversation
        terminal.err.print("Stopped.")
    terminal.out.print()


def _lines() -> Iterator[str]:
    if not sys.stdin.isatty():
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
