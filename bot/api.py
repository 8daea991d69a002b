"""The Python API: one object that ingests articles, answers questions and evaluates the answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.services import Services
from bot.settings import load_settings

if TYPE_CHECKING:
    from types import TracebackType

    from bot.answering.answer import Answer, Sentence
    from bot.answering.langchain import AnswerChain
    from bot.answering.question import Question
    from bot.evaluation.models import Summary
    from bot.ingestion.pipeline import IngestReport
    from bot.retrieval.langchain import PassageRetriever


class Citewire:
    """A collection of articles in a data directory.

    Args:
        data_dir: the data directory, created if necessary; default: the one of the settings.
        settings: other settings by their field names in `bot.settings.Settings`, such as `chat_model`; they take
            precedence over environment variables and `citewire.toml`.

    Raises:
        SettingsError: if a setting is invalid.
    """

    def __init__(self, data_dir: str | Path | None = None, **settings: Any) -> None:
        self.services = Services(load_settings(data_dir=data_dir, **settings))

    def __enter__(self) -> Citewire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close files and connections."""
        self.services.close()

    def ingest(self, *paths: str | Path, source: str = "") -> IngestReport:
        """Ingest files and directories; unchanged articles are skipped, changed ones replaced.

        Args:
            paths: files and directories, which are read recursively.
            source: source of articles that do not name one.

        Returns:
            The numbers of articles added, changed, unchanged and removed, and the inputs that were skipped.

        Raises:
            CitewireError: if the data directory or the embedding model cannot be used.
        """
        from bot.ingestion.loaders import read_articles
        from bot.ingestion.pipeline import ingest

        found = read_articles([Path(path) for path in paths], source=source)
        with self.services.index_writer() as writer:
            return ingest(writer, self.services.articles, found)

    def ask(self, question: str | Question) -> Answer:
        """Answer a question from the articles.

        Raises:
            QuestionError: if the question is empty or too long.
        """
        return self.chain.invoke(question)

    def stream(self, question: str | Question) -> Iterator[Sentence | Answer]:
        """Yield each sentence of the answer as soon as it is verified, then the answer.

        Raises:
            QuestionError: if the question is empty or too long.
        """
        yield from self.chain.stream(question)

    def evaluate(self, testset: str | Path) -> Summary:
        """Ask every question of a test set and return the metrics with their confidence intervals.

        Raises:
            EvaluationError: if the test set is invalid.
        """
        from bot.evaluation.dataset import load_testset
        from bot.evaluation.metrics import summarize
        from bot.evaluation.models import Outcome
        from bot.evaluation.runner import ask_chain, run_cases

        cases = load_testset(Path(testset)).cases
        outcomes: list[Outcome] = []
        run_cases(
            cases,
            lambda case: ask_chain(self.services, case, retrieval_only=False),
            workers=1,
            on_result=outcomes.append,
        )
        return summarize(outcomes)

    @property
    def chain(self) -> AnswerChain:
        """The question-answering pipeline as a LangChain Runnable."""
        return self.services.chain

    @property
    def retriever(self) -> PassageRetriever:
        """The search over both indexes as a LangChain retriever."""
        from bot.retrieval.langchain import PassageRetriever

        return PassageRetriever(retriever=self.services.retriever)
