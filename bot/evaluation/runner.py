"""Run the answering pipeline on a test set with timeouts and concurrency."""

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

TIMEOUT_SECONDS = 120.0  # per question
_GRACE_SECONDS = 2.0  # after Ctrl-C, for questions in progress; hanging ones are abandoned
K = 10  # passages per question that the metrics use
NOON = time_of_day(12)  # test sets contain dates without times
_REPORTED_PACKAGES = (
    "chromadb",
    "langchain-core",
    "numpy",
    "sentence-transformers",
    "sentencex",
    "tantivy",
    "torch",
)


def run_metadata(
    services: Services, testset: TestSet, cases: Sequence[Case], options: dict[str, Any]
) -> dict[str, Any]:
    """Return the header of a run: test set, options, index, settings and versions.

    The header contains no secrets and no paths except the file name of the test set.
    """
    embedder, totals = services.embedder, services.articles.totals()
    return {
        "format": FORMAT,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "questions": len(cases),
        "testset": {"name": testset.path.name, "sha256": testset.sha256},
        "options": options,
        "index": {
            "articles": totals.articles,
            "passages": totals.passages,
            "content": services.articles.content_hash(),
        },
        "settings": {
            "chat_base_url": services.settings.chat_base_url,
            "chat_budget": services.settings.chat_budget,
            "chat_model": services.settings.chat_model,
            "closest_confidence": services.settings.closest_confidence,
            "embedding_model": embedder.model,
            "embedding_fingerprint": embedder.fingerprint,
            "k": K,
            "language": services.settings.language,
            "min_confidence": services.settings.min_confidence,
            "reader_model": services.reader.model,
            "rerank_model": services.settings.rerank_model,
            "support_judge": services.settings.support_judge,
            "support_model": services.settings.support_model,
        },
        "versions": {
            "citewire": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _REPORTED_PACKAGES},
        },
    }


def run_cases(
    cases: Sequence[Case],
    ask: Callable[[Case], Outcome],
    *,
    workers: int,
    on_result: Callable[[Outcome], None],
    timeout: float = TIMEOUT_SECONDS,
) -> None:
    """Ask all questions of a test set concurrently.

    A question that fails or times out yields an outcome with an error.

    Args:
        cases: the questions.
        ask: answers one question; called in worker threads.
        workers: maximum number of concurrent questions.
        on_result: called in the calling thread with each outcome as soon as it is available.
        timeout: time limit per question in seconds.
    """
    stopped = threading.Event()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(_ask_with_timeout, ask, case, timeout, stopped) for case in cases]
        try:
            for future in as_completed(futures):
                on_result(future.result())
        except BaseException:  # including Ctrl-C: questions that have not started are canceled
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def ask_chain(services: Services, case: Case, *, retrieval_only: bool) -> Outcome:
    """Ask one question and collect everything the metrics need."""
    from bot.answering.question import Question

    gold = tuple(found for article in case.articles if (found := services.articles.find(article)))
    asked = datetime.combine(case.asked, NOON, UTC) if case.asked else None
    question = Question(case.question, history=case.history, k=K, asked=asked)
    started = time.perf_counter()
    if retrieval_only:
        answer, hits = None, services.chain.search(question)
    else:
        trace = services.chain.invoke_with_trace(question)
        answer, hits = trace.answer, trace.hits
    took = _elapsed_ms(started)
    return Outcome(
        case=case,
        gold=gold,
        passages=tuple(_to_retrieved_passage(hit) for hit in hits),
        answer=answer,
        quotes_valid=_check_quotes(services, answer),
        supported=_check_support(services.verifier, answer, hits),
        milliseconds=took,
    )


def _ask_with_timeout(
    ask: Callable[[Case], Outcome], case: Case, timeout: float, stopped: threading.Event
) -> Outcome:
    """Ask in a thread that can be abandoned, because a hanging question cannot be stopped."""
    results: list[Outcome] = []
    started = time.perf_counter()

    def work() -> None:
        try:
            results.append(ask(case))
        except CitewireError as exc:
            results.append(Outcome(case, error=str(exc), milliseconds=_elapsed_ms(started)))
        except Exception as exc:  # noqa: BLE001 - one question must not abort the run; it counts as wrong
            results.append(
                Outcome(case, error=f"{type(exc).__name__}: {exc}", milliseconds=_elapsed_ms(started))
            )

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    last = started + timeout
    while thread.is_alive() and (now := time.perf_counter()) < last:
        last = min(last, now + _GRACE_SECONDS) if stopped.is_set() else last
        thread.join(min(last - now, 0.1))
    late = Outcome(case, error=f"no answer within {timeout:g} s", milliseconds=_elapsed_ms(started))
    return results[0] if results else late


def _to_retrieved_passage(hit: Hit) -> RetrievedPassage:
    return RetrievedPassage(
        hit.passage.id, hit.passage.article_id, hit.headline.title, hit.passage.text, hit.score
    )


def _check_quotes(services: Services, answer: Answer | None) -> tuple[bool, ...]:
    def is_valid(article_id: str, number: int, start: int, end: int, quote: str) -> bool:
        article = services.articles.article(article_id, number)
        return article is not None and article.text[start:end] == quote

    citations = answer.citations if answer else ()
    return tuple(is_valid(c.article_id, c.version, c.start, c.end, c.quote) for c in citations)


def _check_support(verifier: Verifier, answer: Answer | None, hits: Sequence[Hit]) -> tuple[bool, ...]:
    """Return for each sentence True if the verifier finds it supported by the passages that it cites."""
    if answer is None or answer.status != "answered":
        return ()
    found = {hit.passage.id: hit for hit in hits}
    cited = {citation.n: found[citation.passage_id] for citation in answer.citations}

    def is_supported(sentence: Sentence) -> bool:
        passages = [cited[n] for n in sentence.citations]
        context = "\n".join(hit.header for hit in passages)
        texts = [hit.passage.text for hit in passages]
        return verifier.check(sentence.text, texts, context=context).verdict == "supported"

    return tuple(is_supported(sentence) for sentence in answer.sentences)


def _elapsed_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
