"""What Chroma is told of a passage beside its vector, and the conditions that search by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bot.retrieval.filters import Filters, label_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bot.articles.records import Draft


def where(filters: Filters) -> Any:
    """Write the filters as Chroma's conditions; the values stand in them as values."""
    conditions: list[dict[str, object]] = []
    if filters.window and filters.window.since:
        conditions.append({"published": {"$gte": int(filters.window.since.timestamp())}})
    if filters.window and filters.window.until:
        conditions.append({"published": {"$lt": int(filters.window.until.timestamp())}})
    if filters.sources:
        conditions.append({"source": {"$in": list(map(label_key, filters.sources))}})
    if filters.tags:
        tagged: list[dict[str, object]] = [{_tag_field(tag): True} for tag in filters.tags]
        conditions.append({"$or": tagged} if len(tagged) > 1 else tagged[0])
    return {"$and": conditions} if len(conditions) > 1 else next(iter(conditions), None)


def metadata(draft: Draft) -> dict[str, str | int]:
    """Return the fields by which the passages of this draft are found."""
    article = draft.article
    fields: dict[str, str | int] = {"article": article.id, "source": label_key(article.source)}
    if article.published:
        fields["published"] = int(article.published.timestamp())
    return fields | {_tag_field(tag): True for tag in article.tags}


def cosines(ids: Sequence[str], stored: Any, vector: NDArray[np.float32]) -> dict[str, float]:
    """Return the cosines of these stored vectors, all of length one."""
    matrix = np.asarray(stored, dtype=np.float32)
    return dict(zip(ids, (matrix @ vector).tolist(), strict=True)) if len(matrix) else {}


def _tag_field(tag: str) -> str:
    return f"tag:{label_key(tag)}"  # never one of the fields above, nor an operator, which begins with $
