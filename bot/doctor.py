"""Checks that all parts of a data folder are there and agree, and that a chat model is set up where one is named."""

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
    """One thing examined; `remedy` says what to do where it is not well."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the check for JSON."""
        return asdict(self)


def examine(workspace: Services) -> list[Check]:
    """Run every check; one that fails does not keep the others from running."""
    with ThreadPoolExecutor(max_workers=1) as reader:  # reads all bytes of the models beside the other checks
        weights = reader.submit(run_check, "weights", lambda: _weights(workspace))
        reading = reader.submit(run_check, "reader", lambda: _reader(workspace))
        encoder = reader.submit(_encoder_state, workspace)
        stores = list(_stores(workspace, encoder))
        return [weights.result(), *stores, reading.result(), *_models(workspace)]


def _stores(workspace: Services, encoder: Future[EncoderState]) -> Iterator[Check]:
    try:
        totals = workspace.articles.totals()
    except CitewireError as exc:  # there is nothing to compare the indexes with
        yield failure("library", exc)
        return
    yield _library(workspace, totals)
    yield run_check("vectors", lambda: _vectors(workspace, totals.passages))
    yield run_check("words", lambda: _words(workspace, totals.passages))
    yield run_check("encoder", lambda: _encoder(workspace, totals, encoder.result()))


def _models(workspace: Services) -> Iterator[Check]:
    for name in (workspace.settings.chat_model, workspace.settings.support_judge):
        if name:
            yield run_check("model", lambda name=name: _model(workspace, name))  # type: ignore[misc]  # bound now


def run_check(name: str, check: Callable[[], Check]) -> Check:
    """Return what `check` finds, or what it failed with."""
    try:
        return check()
    except CitewireError as exc:
        return failure(name, exc)


def failure(name: str, error: CitewireError) -> Check:
    """Return an error as a check: what it says before a semicolon is what is wrong, the rest what to do."""
    detail, _, remedy = str(error).partition("; ")
    return Check(name, ok=False, detail=detail, remedy=remedy)


def _weights(workspace: Services) -> Check:
    embedder = workspace.embedder
    embedder.verify()
    return Check("weights", ok=True, detail=f"{embedder.model} ({embedder.fingerprint})")


def _reader(workspace: Services) -> Check:
    workspace.reader.verify()
    return Check("reader", ok=True, detail=workspace.reader.model)


def _library(workspace: Services, totals: StoreStats) -> Check:
    place = (
        workspace.settings.data_dir
        if not workspace.settings.database_url
        else "the database at CITEWIRE_DATABASE_URL"
    )
    return Check(
        "library", ok=True, detail=f"{totals.articles:,} articles, {totals.passages:,} passages in {place}"
    )


def _vectors(workspace: Services, expected: int) -> Check:
    library = workspace.articles
    collection = library.collection(workspace.embedder.fingerprint)
    if collection is None:
        models = ", ".join(other.model for other in library.collections())
        detail = f"the articles are not embedded with {workspace.embedder.model}" + (
            f" but with {models}" if models else ""
        )
        return Check(
            "vectors",
            ok=not expected,
            detail=detail if expected else "none yet",
            remedy="run `citewire reindex`" if expected else "",
        )
    found = workspace.vector_store.count(collection.location)
    return _compare_counts("vectors", found, expected, remedy="run `citewire reindex`")


def _words(workspace: Services, expected: int) -> Check:
    if not expected:
        return Check("words", ok=True, detail="none yet")
    found = workspace.bm25.count()
    if found != expected and workspace.bm25_sync.is_stale():
        detail = (
            f"{found:,} passages, behind the library's {expected:,}; the next question brings it up to them"
        )
        return Check("words", ok=True, detail=detail)
    return _compare_counts("words", found, expected, remedy="run `citewire reindex --words`")


def _encoder_state(workspace: Services) -> EncoderState:
    return workspace.embedder.encoder_state()


def _encoder(workspace: Services, totals: StoreStats, state: EncoderState) -> Check:
    from bot.indexing.onnx_encoder import EncoderState

    embedder = workspace.embedder
    if state is EncoderState.READY:
        return Check("encoder", ok=True, detail=f"{embedder.model} ({embedder.fingerprint}), without torch")
    if state is EncoderState.UNUSED:
        return Check("encoder", ok=True, detail=state.value)
    if state is EncoderState.MISSING and not totals.articles:
        return Check("encoder", ok=True, detail="none yet")
    detail = f"{state.value}; questions wait for torch to be loaded"
    return Check("encoder", ok=False, detail=detail, remedy="run `citewire reindex --encoder`")


def _model(workspace: Services, name: str) -> Check:
    """Set a chat model up as an answer would, without asking it anything."""
    from bot.llm import load_chat_model

    load_chat_model(name, workspace.settings)
    server = workspace.settings.chat_base_url or "its provider's server"
    return Check("model", ok=True, detail=f"{name} is set up, at {server}; it was not asked")


def _compare_counts(name: str, found: int, expected: int, *, remedy: str) -> Check:
    if found == expected:
        return Check(name, ok=True, detail=f"{found:,} passages, as in the library")
    detail = f"{found:,} passages, but the library has {expected:,}"
    return Check(name, ok=False, detail=detail, remedy=remedy)
