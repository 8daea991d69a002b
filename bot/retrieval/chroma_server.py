"""Chroma on a server."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import numpy as np

from bot.errors import VectorsError
from bot.retrieval.chroma_embedded import CONFIGURATION, EmbeddedStage, translated
from bot.retrieval.chroma_fields import cosines, where
from bot.retrieval.filters import Filters

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection as ChromaCollection
    from numpy.typing import NDArray


class ServerStore:
    """Collections on a Chroma server, written in place."""

    in_place = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._client_or_none: Client | None = None
        self._lock = threading.Lock()

    def search(
        self, location: str, vector: NDArray[np.float32], k: int, filters: Filters
    ) -> list[tuple[str, float]]:
        """Return the ids of the k nearest passages with their cosines, best first."""
        collection = self._collection(location)
        with translated(self._url):
            found = collection.query(
                query_embeddings=vector[np.newaxis], n_results=k, where=where(filters), include=["distances"]
            )
        distances = found["distances"] or [[]]
        return [(key, 1.0 - distance) for key, distance in zip(found["ids"][0], distances[0], strict=True)]

    def cosines(
        self, location: str, vector: NDArray[np.float32], passage_ids: Sequence[str]
    ) -> dict[str, float]:
        """Return the cosines of these passages; those that are not there are left out."""
        if not passage_ids:
            return {}
        collection = self._collection(location)
        with translated(self._url):
            found = collection.get(ids=list(passage_ids), include=["embeddings"])
        return cosines(found["ids"], found["embeddings"], vector)

    def count(self, location: str) -> int:
        """Return how many vectors a collection holds, asked over HTTP."""
        import httpx

        base = f"{self._url.rstrip('/')}/api/v2/tenants/default_tenant/databases/default_database/collections"
        try:
            with httpx.Client(timeout=10) as client:
                collection = client.get(f"{base}/{location}").raise_for_status().json()
                return int(client.get(f"{base}/{collection['id']}/count").raise_for_status().json())
        except (httpx.HTTPError, ValueError, KeyError) as exc:
            raise VectorsError(
                f"Chroma at {self._url} does not answer: {exc}; start it, or check CITEWIRE_CHROMA_URL"
            ) from exc

    def stage(self, base: str | None, name: str) -> EmbeddedStage:
        """Open `base`, or make a new collection."""
        if base:
            return EmbeddedStage(self._client, self._collection(base), base, folder=None)
        location = f"{name}-{uuid.uuid4().hex[:8]}"
        with translated(self._url):
            collection = self._client.create_collection(
                location, configuration=CONFIGURATION, embedding_function=None
            )
        return EmbeddedStage(self._client, collection, location, folder=None)

    def sweep(self, name: str, keep: set[str]) -> None:
        """Remove the collections that begin with `name`, but those to keep."""
        with translated(self._url):
            for collection in self._client.list_collections(limit=1_000):
                if collection.name.startswith(name) and collection.name not in keep:
                    self._client.delete_collection(collection.name)

    def close(self) -> None:
        """Give back the connection."""
        with self._lock:
            if self._client_or_none:
                self._client_or_none.close()
            self._client_or_none = None

    def _collection(self, location: str) -> ChromaCollection:
        with translated(self._url):
            return self._client.get_collection(location, embedding_function=None)

    @property
    def _client(self) -> Client:
        with self._lock, translated(self._url):
            if self._client_or_none is None:
                self._client_or_none = _server_client(self._url)
            return self._client_or_none


def _server_client(url: str) -> Client:
    import chromadb
    from chromadb.config import Settings

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise VectorsError(f"CITEWIRE_CHROMA_URL: {url!r} is not an address such as http://localhost:8000")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 8000)
    client = chromadb.HttpClient(
        parts.hostname, port, ssl=secure, settings=Settings(anonymized_telemetry=False)
    )
    return cast("Client", client)
