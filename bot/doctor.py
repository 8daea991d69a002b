"""Health checks of a data directory and the chat models, for `citewire doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bot.errors import CitewireError

if TYPE_CHECKING:
    from bot.indexing.onnx_encoder import EncoderState
    from bot.services import Services
    from bot.storage.models import StoreStats


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check.

    Attributes:
        detail: the result, or the error if the check failed.
        remedy: how to fix a failure.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the check as JSON fields."""
        return asdict(self)


def examine(services: Services) -> list[Check]:
    """Run every check; a failed check does not prevent the others from running."""
    with ThreadPoolExecutor(
        max_workers=1
    ) as executor:  # reads all files of the models during the other checks
        weights_check = executor.submit(run_check, "weights", lambda: _check_weights(services))
        reader_check = executor.submit(run_check, "reader", lambda: _check_reader(services))
        encoder = executor.submit(_read_encoder_state, services)
        stores = list(_check_stores(services, encoder))
        return [weights_check.result(), *stores, reader_check.result(), *_check_models(services)]


def _check_stores(services: Services, encoder: Future[EncoderState]) -> Iterator[Check]:
    try:
        stats = services.articles.totals()
    except CitewireError as exc:  # without the article store, the indexes cannot be compared
        yield failed_check("library", exc)
        return
    yield _check_articles(services, stats)
    yield run_check("vectors", lambda: _check_vectors(services, stats.passages))
    yield run_check("words", lambda: _check_bm25(services, stats.passages))
    yield run_check("encoder", lambda: _check_encoder(services, stats, encoder.result()))


def _check_models(services: Services) -> Iterator[Check]:
    for name in (services.settings.chat_model, services.settings.support_judge):
        if name:
            yield run_check("model", lambda name=name: _check_model(services, name))  # type: ignore[misc]  # bound here


def run_check(name: str, check: Callable[[], Check]) -> Check:
    """Return the result of a check, or its error as a failed check."""
    try:
        return check()
    except CitewireError as exc:
        return failed_check(name, exc)


def failed_check(name: str, error: CitewireError) -> Check:
    """Return a failed check for an error; the text after the first semicolon of its message is the remedy."""
    detail, _, remedy = str(error).partition("; ")
    return Check(name, ok=False, detail=detail, remedy=remedy)


def _check_weights(services: Services) -> Check:
    embedder = services.embedder
    embedder.verify()
    return Check("weights", ok=True, detail=f"{embedder.model} ({embedder.fingerprint})")


def _check_reader(services: Services) -> Check:
    services.reader.verify()
    return Check("reader", ok=True, detail=services.reader.model)


def _check_articles(services: Services, stats: StoreStats) -> Check:
    location = (
        services.settings.data_dir
        if not services.settings.database_url
        else "the database at CITEWIRE_DATABASE_URL"
    )
    return Check(
        "library", ok=True, detail=f"{stats.articles:,} articles, {stats.passages:,} passages in {location}"
    )


def _check_vectors(services: Services, expected: int) -> Check:
    articles = services.articles
    collection = articles.collection(services.embedder.fingerprint)
    if collection is None:
        models = ", ".join(other.model for other in articles.collections())
        detail = f"the articles are not embedded with {services.embedder.model}" + (
            f" but with {models}" if models else ""
        )
        return Check(
            "vectors",
            ok=not expected,
            detail=detail if expected else "none yet",
            remedy="run `citewire reindex`" if expected else "",
        )
    count = services.vector_store.count(collection.location)
    return _compare_counts("vectors", count, expected, remedy="run `citewire reindex`")


def _check_bm25(services: Services, expected: int) -> Check:
    if not expected:
        return Check("words", ok=True, detail="none yet")
    count = services.bm25.count()
    if count != expected and services.bm25_sync.is_stale():
        detail = (
            f"{count:,} passages, behind the library's {expected:,}; the next question brings it up to them"
        )
        return Check("words", ok=True, detail=detail)
    return _compare_counts("words", count, expected, remedy="run `citewire reindex --words`")


def _read_encoder_state(services: Services) -> EncoderState:
    return services.embedder.encoder_state()


def _check_encoder(services: Services, stats: StoreStats, state: EncoderState) -> Check:
    from bot.indexing.onnx_encoder import EncoderState

    embedder = services.embedder
    if state is EncoderState.READY:
        return Check("encoder", ok=True, detail=f"{embedder.model} ({embedder.fingerprint}), without torch")
    if state is EncoderState.UNUSED:
        return Check("encoder", ok=True, detail=state.value)
    if state is EncoderState.MISSING and not stats.articles:
        return Check("encoder", ok=True, detail="none yet")
    detail = f"{state.value}; questions wait for torch to be loaded"
    return Check("encoder", ok=False, detail=detail, remedy="run `citewire reindex --encoder`")


def _check_model(services: Services, name: str) -> Check:
    """Set up a chat model as an answer does, without sending a request."""
    from bot.llm import load_chat_model

    load_chat_model(name, services.settings)
    server = services.settings.chat_base_url or "its provider's server"
    return Check("model", ok=True, detail=f"{name} is set up, at {server}; it was not asked")


def _compare_counts(name: str, count: int, expected: int, *, remedy: str) -> Check:
    if count == expected:
        return Check(name, ok=True, detail=f"{count:,} passages, as in the library")
    detail = f"{count:,} passages, but the library has {expected:,}"
    return Check(name, ok=False, detail=detail, remedy=remedy)
