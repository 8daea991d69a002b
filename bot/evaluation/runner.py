"""Asks the chain the questions of a test set, each within its time."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from datetime import time as time_of_day
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from bot import __version__
from bot.errors import CitewireError
from bot.evaluation.dataset import TestSet
from bot.evaluation.models import Case, Outcome, RetrievedPassage
from bot.evaluation.run_log import FORMAT

if TYPE_CHECKING:
    from bot.answering.answer import Answer, Sentence
    from bot.retrieval.models import Hit
    from bot.services import Services
    from bot.verification.verifier import Verifier

TIMEOUT_SECONDS = 120.0  # a question
_GRACE_SECONDS = 2.0  # after Ctrl-C, for the questions in hand: those that hang are left behind
K = 10  # passages: what the metrics look at
NOON = time_of_day(12)  # a test set names the day, not the hour
_LIBRARIES = ("chromadb", "langchain-core", "numpy", "sentence-transformers", "sentencex", "tantivy", "torch")


def run_metadata(
    workspace: Services, testset: TestSet, cases: Sequence[Case], options: dict[str, Any]
) -> dict[str, Any]:
    """Say what a run is: what is asked, of what, with what. Holds no secret and no path but the test set's name."""
    embedder, totals = workspace.embedder, workspace.articles.totals()
    return {
        "format": FORMAT,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "questions": len(cases),
        "testset": {"name": testset.path.name, "sha256": testset.sha256},
        "options": options,
        "index": {
            "articles": totals.articles,
            "passages": totals.passages,
            "content": workspace.articles.content_hash(),
        },
        "settings": {
            "chat_base_url": workspace.settings.chat_base_url,
            "chat_budget": workspace.settings.chat_budget,
            "chat_model": workspace.settings.chat_model,
            "closest_confidence": workspace.settings.closest_confidence,
            "embedding_model": embedder.model,
            "embedding_fingerprint": embedder.fingerprint,
            "k": K,
            "language": workspace.settings.language,
            "min_confidence": workspace.settings.min_confidence,
            "reader_model": workspace.reader.model,
            "rerank_model": workspace.settings.rerank_model,
            "support_judge": workspace.settings.support_judge,
            "support_model": workspace.settings.support_model,
        },
        "versions": {
            "citewire": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
    }


def run_cases(
    cases: Sequence[Case],
    ask: Callable[[Case], Outcome],
    *,
    workers: int,
    finished: Callable[[Outcome], None],
    timeout: float = TIMEOUT_SECONDS,
) -> None:
    """Ask every case, `workers` at a time; `finished` is called with each outcome in this thread as it comes.

    A question that fails or takes longer than `timeout` seconds gives an outcome that says so.
    """
    stopped = threading.Event()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(_ask_with_timeout, ask, case, timeout, stopped) for case in cases]
        try:
            for future in as_completed(futures):
                finished(future.result())
        except BaseException:  # Ctrl-C too: what has not begun is not begun any more
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def ask_chain(workspace: Services, case: Case, *, retrieval_only: bool) -> Outcome:
    """Ask one question and note all that the metrics will want to know."""
    from bot.answering.question import Question

    gold = tuple(found for article in case.articles if (found := workspace.articles.find(article)))
    asked = datetime.combine(case.asked, NOON, UTC) if case.asked else None
    question = Question(case.question, history=case.history, k=K, asked=asked)
    begun = time.perf_counter()
    if retrieval_only:
        answer, hits = None, workspace.chain.search(question)
    else:
        trace = workspace.chain.invoke_with_trace(question)
        answer, hits = trace.answer, trace.hits
    took = _since(begun)
    return Outcome(
        case=case,
        gold=gold,
        passages=tuple(_ranked(hit) for hit in hits),
        answer=answer,
        quotes_valid=_quotes_valid(workspace, answer),
        supported=_supported(workspace.verifier, answer, hits),
        milliseconds=took,
    )


def _ask_with_timeout(
    ask: Callable[[Case], Outcome], case: Case, timeout: float, stopped: threading.Event
) -> Outcome:
    """Ask in a thread that can be left behind: nothing can stop a question that hangs."""
    results: list[Outcome] = []
    begun = time.perf_counter()

    def work() -> None:
        try:
            results.append(ask(case))
        except CitewireError as exc:
            results.append(Outcome(case, error=str(exc), milliseconds=_since(begun)))
        except Exception as exc:  # noqa: BLE001 - one question must not end the run; it is counted as wrong
            results.append(Outcome(case, error=f"{type(exc).__name__}: {exc}", milliseconds=_since(begun)))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    last = begun + timeout
    while thread.is_alive() and (now := time.perf_counter()) < last:
        last = min(last, now + _GRACE_SECONDS) if stopped.is_set() else last
        thread.join(min(last - now, 0.1))
    late = Outcome(case, error=f"no answer within {timeout:g} s", milliseconds=_since(begun))
    return results[0] if results else late


def _ranked(hit: Hit) -> RetrievedPassage:
    return RetrievedPassage(
        hit.passage.id, hit.passage.article_id, hit.headline.title, hit.passage.text, hit.score
    )


def _quotes_valid(workspace: Services, answer: Answer | None) -> tuple[bool, ...]:
    def valid(article_id: str, number: int, start: int, end: int, quote: str) -> bool:
        article = workspace.articles.article(article_id, number)
        return article is not None and article.text[start:end] == quote

    citations = answer.citations if answer else ()
    return tuple(valid(c.article_id, c.version, c.start, c.end, c.quote) for c in citations)


def _supported(verifier: Verifier, answer: Answer | None, hits: Sequence[Hit]) -> tuple[bool, ...]:
    """Say of each sentence whether the verifier finds it supported by the passages of its own citations."""
    if answer is None or answer.status != "answered":
        return ()
    found = {hit.passage.id: hit for hit in hits}
    cited = {citation.n: found[citation.passage_id] for citation in answer.citations}

    def supported(sentence: Sentence) -> bool:
        stands_on = [cited[n] for n in sentence.citations]
        context = "\n".join(hit.header for hit in stands_on)
        texts = [hit.passage.text for hit in stands_on]
        return verifier.check(sentence.text, texts, context=context).verdict == "supported"

    return tuple(supported(sentence) for sentence in answer.sentences)


def _since(begun: float) -> float:
    return round((time.perf_counter() - begun) * 1000, 1)
