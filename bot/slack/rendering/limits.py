"""Size limits of Slack messages and views."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

Block = dict[str, Any]

MAX_BLOCKS = 50  # in a message
MAX_VIEW_BLOCKS = 100
MAX_VIEW = 250_000  # characters of a view's JSON, in which a non-ASCII character takes six
MAX_TEXT = 3_000  # characters of a text object
MAX_LABEL = 75  # characters of the text of a button or an option
MAX_TITLE = 24  # characters of the title of a view and of its buttons
MAX_URL = 3_000  # characters

# Bytes of all blocks of a message. Slack rejects a message at about 13,000 (msg_blocks_too_long) and counts the
# structure of blocks, too: a divider takes 125. Therefore the JSON is measured, plus the overhead that Slack adds.
MAX_MESSAGE = 12_000
_BLOCK_OVERHEAD = 30  # bytes per block


def size(blocks: Sequence[Block]) -> int:
    """Return the size of blocks in bytes, to be compared with MAX_MESSAGE."""
    return sum(len(json.dumps(block, ensure_ascii=False).encode()) + _BLOCK_OVERHEAD for block in blocks)


def fits(blocks: Sequence[Block], *, used: int = 0) -> bool:
    """Return True if the blocks fit in a message.

    Args:
        used: bytes of the message that are already in use.
    """
    return len(blocks) <= MAX_BLOCKS and size(blocks) + used <= MAX_MESSAGE


def fits_view(view: Block) -> bool:
    """Return True if a view is within the size limits of Slack."""
    return len(view["blocks"]) <= MAX_VIEW_BLOCKS and len(json.dumps(view)) <= MAX_VIEW
