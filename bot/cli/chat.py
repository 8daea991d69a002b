"""Interactive chat in the terminal or through a pipe."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bot.cli import console, render
from bot.errors import CitewireError, QuestionError

if TYPE_CHECKING:
    from bot.answering.answer import Answer
    from bot.answering.question import ConversationTurn
    from bot.indexing.filters import SearchFilters
    from bot.services import Services

_HELP = """\
Ask in plain words; follow up with "and when?", "what about Paris?". Ctrl-C stops an answer.
:sources N              show citation N of the last answer within its article
:since DAY, :until DAY  only articles of these days (2022, 2022-06, 2022-06-17); without a day, all
:model NAME             let this chat model answer (provider:model); "none": quotes alone
:right, :wrong [NOTE]   judge the last answer
:save FILE              write the conversation to a new file, as Markdown
:new                    forget the conversation and start another
:help                   this text
:quit                   leave (so does Ctrl-D)"""
_MAX_HISTORY_LINES = 1_000


def run_chat(services: Services) -> None:
    """Answer questions until the input ends."""
    if sys.stdin.isatty():
        totals = services.articles.totals()
        _load_in_background(services)
        console.out.print(f"{totals.articles:,} articles. Ask away; :help for help, Ctrl-D to leave.")
    chat = _Chat(services)
    for line in _read_lines(services.settings.data_dir / "chat_history"):
        if line.strip() in (":quit", ":q", ":exit"):
            break
        with console.print_errors():
            chat.handle_line(line.strip())


class _Chat:
    """Conversation with its history, search filters and chat model."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pipeline = services.pipeline
        self._model = services.settings.chat_model
        self._history: list[ConversationTurn] = []
        self.answers: list[Answer] = []
        self._since = self._until = ""

    def handle_line(self, line: str) -> None:
        """Answer a question, or run a command if the line starts with a colon."""
        command, _, rest = line.partition(" ")
        commands = {
            ":sources": self._print_source,
            ":since": self._set_since,
            ":until": self._set_until,
            ":model": self._change_model,
            ":right": lambda note: self._add_feedback("right", note),
            ":wrong": lambda note: self._add_feedback("wrong", note),
            ":save": self._save_transcript,
        }
        if command in commands:
            commands[command](rest.strip())
        elif line == ":new":
            self._history.clear()
            console.out.print("A new conversation.")
        elif line.startswith(":"):
            console.out.print(_HELP)
        elif line:
            self._answer_question(line)

    def _answer_question(self, text: str) -> None:
        from bot.answering.question import ConversationTurn, Question

        question = Question(text, history=tuple(self._history), filters=self._build_filters())
        trace = render.print_stream(self._pipeline.run(question))
        self._services.answers.save(trace)
        console.out.print()
        answer = trace.answer
        self.answers.append(answer)
        if answer.status in ("answered", "not_found"):
            reply = answer.text if answer.status == "answered" else ""
            self._history.append(ConversationTurn(text, reply))

    def _build_filters(self) -> SearchFilters:
        from bot.indexing.filters import SearchFilters
        from bot.retrieval.time_filter import parse_window

        return SearchFilters(parse_window(self._since, self._until))

    def _set_since(self, day: str) -> None:
        self._set_window(day, self._until)

    def _set_until(self, day: str) -> None:
        self._set_window(self._since, day)

    def _set_window(self, since: str, until: str) -> None:
        from bot.retrieval.time_filter import parse_window

        window = parse_window(since, until)  # raises an error for an invalid date before anything is stored
        self._since, self._until = since, until
        console.out.print(
            f"Only articles of this time: {window.label}." if window else "Articles of any time."
        )

    def _print_source(self, number: str) -> None:
        citations = self.answers[-1].citations if self.answers else ()
        chosen = next((citation for citation in citations if str(citation.n) == number.strip("[]")), None)
        if chosen is None:
            available = f"1 to {len(citations)}" if citations else "none"
            raise QuestionError(
                f"there is no citation {number or '(which?)'}; the last answer has {available}"
            )
        article = self._services.articles.article(chosen.article_id, chosen.version)
        if article is None:
            raise QuestionError(f"the article of citation {number} is no longer in the library")
        render.print_passage(chosen, article)

    def _change_model(self, name: str) -> None:
        if name:
            model = "" if name == "none" else name
            self._pipeline = self._services.pipeline_for(model)
            self._model = model
        console.out.print(f"Answers come from {self._model or 'the articles, as quotes'}.")

    def _save_transcript(self, name: str) -> None:
        from bot.cli.transcript import write_transcript

        if not name:
            raise QuestionError("name a file: `:save FILE`")
        path = Path(name).expanduser()
        write_transcript(self.answers, path)
        console.out.print(f"{len(self.answers)} answers written to {path}", soft_wrap=True)

    def _add_feedback(self, verdict: str, note: str) -> None:
        rated = next((answer for answer in reversed(self.answers) if answer.status != "small_talk"), None)
        if rated is None:
            console.out.print("There is no answer to judge yet.")
            return
        self._services.answers.add_feedback(rated.id, verdict, note)
        console.out.print("Noted; `citewire eval harvest` makes a test question of it.")


def _read_lines(history: Path) -> Iterator[str]:
    if not sys.stdin.isatty():
        if isinstance(sys.stdin, io.TextIOWrapper):  # a byte that is not UTF-8 must not end the conversation
            sys.stdin.reconfigure(errors="replace")
        yield from sys.stdin
        return
    with _line_history(history):
        while True:
            try:
                yield input("\n› ")
            except EOFError:
                print()
                return
            except KeyboardInterrupt:
                print("\n(Ctrl-D or :quit leaves)")


@contextlib.contextmanager
def _line_history(file: Path) -> Iterator[None]:
    """Enable line editing in input(), with the history of earlier conversations."""
    import readline

    readline.set_history_length(_MAX_HISTORY_LINES)
    with contextlib.suppress(OSError):  # missing or unreadable: start a new history
        readline.read_history_file(file)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # an unwritable directory must not cause an error on exit
            file.touch(mode=0o600)
            readline.write_history_file(file)


def _load_in_background(services: Services) -> None:
    """Load the model while the first question is being typed."""

    def load() -> None:
        with contextlib.suppress(CitewireError):  # the first question raises and reports the same error
            services.load_models()

    threading.Thread(target=load, daemon=True).start()
