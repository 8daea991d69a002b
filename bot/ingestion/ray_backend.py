"""Ingest on Ray: a cluster reads, splits and encodes; the calling process writes the results.

The stages use Ray Data: tasks read and split files, and workers that load the model once encode them. Rows are returned
in the order of the files, so the result is the same as that of the local engine. Only the IndexWriter writes data: Ray
restarts a worker that fails together with its input, and if the whole run fails, running the same command again
resumes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bot.articles.article import Article
from bot.articles.chunking import split_passages
from bot.errors import CitewireError, EmbeddingError, RayError
from bot.indexing.index_writer import build_embedding_text
from bot.ingestion.loaders import Skipped, read_articles, walk_files
from bot.storage.models import EmbeddedArticle

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from ray import ObjectRef

    from bot.indexing.embeddings import Embedder
    from bot.services import Services

_BLOCK_BYTES = 400_000  # size of a block of articles: about 500 passages
_OBJECT_STORE_BYTES = 500_000_000  # memory for data between stages, if Ray is started here
_CONNECT_SECONDS = 10
_LIGHT_CPUS = 0.1  # of a core, for reading and splitting, so that encoders can use almost all cores
_QUIET_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # otherwise Ray prints messages to stdout when it restarts a worker
    "RAY_gcs_rpc_server_reconnect_timeout_s": str(_CONNECT_SECONDS),
}

_Row = dict[str, bytes]
_Batch = dict[str, "NDArray[Any]"]


@contextlib.contextmanager
def ray_session(address: str) -> Iterator[None]:
    """Connect to a Ray cluster, or start Ray on this machine; disconnect or stop it at the end.

    Args:
        address: host and port of the cluster; empty to start Ray on this machine.

    Raises:
        RayError: if Ray is not installed, does not respond, or fails in the block.
        CitewireError: that a worker has raised.
    """
    for name, value in _QUIET_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError as exc:
        raise RayError("Ray is not installed: pip install 'citewire[ray]'") from exc
    where = {"address": address} if address else _local_init_options()
    if address:
        _check_reachable(address)
    try:
        with _silence_stderr():
            ray.init(**where, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as exc:
        raise RayError(
            f"Ray {f'at {address}' if address else 'here'} cannot be used: {_describe_error(exc)}"
        ) from exc
    try:
        yield
    except ray.exceptions.RayError as exc:
        raise _unwrap_error(exc) from exc
    finally:
        ray.shutdown()


def read_and_encode(services: Services, paths: Iterable[Path], *, source: str) -> Iterator[Article | Skipped]:
    """Yield the results of `read_articles`, with vectors for all articles that are new or changed."""
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # errors are raised
    found = list(walk_files(paths))
    yield from (item for item in found if isinstance(item, Skipped))
    # Absolute: workers have other working directories. Bytes: names need not be valid Unicode.
    files = [{"file": os.fsencode(path.absolute())} for path in found if isinstance(path, Path)]
    if not files:
        return
    context = ray.data.DataContext.get_current()
    context.target_max_block_size = _BLOCK_BYTES
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    known = ray.put(
        np.sort(np.fromiter((_hash(*pair) for pair in services.articles.hashes()), dtype=np.uint64))
    )
    rows = (
        ray.data.from_items(files)
        .flat_map(cast("Any", _read_file), fn_kwargs={"source": source}, num_cpus=_LIGHT_CPUS)
        .map_batches(cast("Any", _split), fn_kwargs={"known": known}, batch_size=None, num_cpus=_LIGHT_CPUS)
        .map_batches(
            _Encoder,
            fn_constructor_args=(services.open_embedder, services.embedder.fingerprint),
            batch_size=None,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=_max_encoders()),
        )
    )
    for batch in rows.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=1):
        for item, vectors in zip(batch["item"], batch["vectors"], strict=True):
            yield _reassemble(pickle.loads(item), vectors)


class _Encoder:
    """Ray worker that encodes the passages from `_split`; the model is loaded when it is first needed."""

    def __init__(self, open_embedder: Callable[[], Embedder], fingerprint: str) -> None:
        self._embedder = open_embedder()
        if self._embedder.fingerprint != fingerprint:
            raise EmbeddingError(
                f"{socket.gethostname()} has other weights under the name {self._embedder.model}"
            )

    def __call__(self, batch: _Batch) -> _Batch:
        texts = [pickle.loads(cut) for cut in batch["texts"]]
        vectors = iter(self._embedder.encode([text for cut in texts for text in cut]) if any(texts) else ())
        rows = [b"".join(next(vectors).tobytes() for _ in cut) for cut in texts]
        return {"item": batch["item"], "vectors": _object_column(rows)}


def _read_file(row: _Row, source: str) -> Iterator[_Row]:
    for item in read_articles([Path(os.fsdecode(row["file"]))], source=source):
        yield {"item": pickle.dumps(item)}


def _split(batch: _Batch, known: ObjectRef[NDArray[np.uint64]]) -> _Batch:
    import ray

    hashes = ray.get(known)  # shared memory: one copy per machine
    texts = [_build_texts(pickle.loads(item), hashes) for item in batch["item"]]
    return {"item": batch["item"], "texts": _object_column([pickle.dumps(cut) for cut in texts])}


def _build_texts(item: Article | Skipped, known: NDArray[np.uint64]) -> list[str]:
    if isinstance(item, Skipped) or _is_known(item, known):
        return []
    return [
        build_embedding_text(item.title, passage.text) for passage in split_passages(item.id, 0, item.text)
    ]


def _is_known(article: Article, known: NDArray[np.uint64]) -> bool:
    """Return True if an article's hash is known; after a false positive, the writing process encodes the article."""
    wanted = _hash(article.id, article.content_hash)
    at = int(np.searchsorted(known, np.uint64(wanted)))
    return at < len(known) and int(known[at]) == wanted


def _hash(article_id: str, content_hash: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{article_id}\n{content_hash}".encode()).digest()[:8], "big")


def _reassemble(item: Article | Skipped, vectors: bytes) -> Article | Skipped:
    if isinstance(item, Skipped) or not vectors:
        return item
    rows = len(split_passages(item.id, 0, item.text))
    fields = {name: getattr(item, name) for name in Article.__dataclass_fields__}
    return EmbeddedArticle(**fields, vectors=np.frombuffer(vectors, dtype=np.float32).reshape(rows, -1))


def _object_column(rows: Sequence[bytes]) -> NDArray[Any]:
    column = np.empty(len(rows), dtype=object)
    column[:] = rows
    return column


def _max_encoders() -> int:
    """Return the maximum number of encoders: one for each core except one, which is for reading."""
    import ray

    return max(1, int(cast("Any", ray).cluster_resources()["CPU"]) - 1)


def _local_init_options() -> dict[str, Any]:
    # One more than there are: encoders use all cores, and reading needs a fraction of one.
    return {
        "num_cpus": (os.cpu_count() or 1) + 1,
        "object_store_memory": _OBJECT_STORE_BYTES,
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
    }


@contextlib.contextmanager
def _silence_stderr() -> Iterator[None]:
    """Suppress output that Ray's core writes directly to file descriptor 2."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _check_reachable(address: str) -> None:
    """Check the connection first: without a Ray server, `ray.init` waits for minutes or ends the process.

    Raises:
        RayError: if the server does not respond.
    """
    import grpc

    try:
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        if not os.environ.get("RAY_USE_TLS"):
            with grpc.insecure_channel(address) as channel:
                grpc.channel_ready_future(channel).result(timeout=_CONNECT_SECONDS)
    except (OSError, ValueError, OverflowError, grpc.FutureTimeoutError) as exc:
        raise RayError(
            f"Ray at {address} does not answer ({_describe_error(exc)});"
            " start it with `ray start --head`, or check --address"
        ) from exc


def _unwrap_error(exc: BaseException) -> CitewireError:
    """Return the error of a worker without the exceptions that Ray wraps around it."""
    while (cause := getattr(exc, "cause", None) or exc.__cause__) and cause is not exc:
        exc = cause
    if isinstance(exc, CitewireError):
        return exc
    return RayError(f"Ray has failed: {_describe_error(exc)}; the same command goes on where it stopped")


def _describe_error(exc: BaseException) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0]
