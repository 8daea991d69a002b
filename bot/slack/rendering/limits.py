"""What Slack takes of a message or a view, and how much of it a payload uses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

Block = dict[str, Any]

MAX_BLOCKS = 50  # in a message
VIEW_BLOCKS = 100
VIEW = 250_000  # characters of a view's JSON, in which others than ASCII take six
TEXT = 3_000  # characters of a text object
LABEL = 75  # of a button's or an option's text
TITLE = 24  # of a view's title and its buttons
URL = 3_000

# Of all blocks together. Slack refuses a message at about 13,000 (msg_blocks_too_long) and counts what blocks are made
# of, too: a divider takes 125. So what is measured is the JSON, in bytes, with what Slack adds to a block.
MESSAGE = 12_000
_ADDED = 30


def size(blocks: Sequence[Block]) -> int:
    """Return what these blocks take of MESSAGE."""
    return sum(len(json.dumps(block, ensure_ascii=False).encode()) + _ADDED for block in blocks)


def fits(blocks: Sequence[Block], *, taken: int = 0) -> bool:
    """Say whether these blocks can be a message's, of which `taken` is used already."""
    return len(blocks) <= MAX_BLOCKS and size(blocks) + taken <= MESSAGE


def fits_view(view: Block) -> bool:
    """Say whether Slack takes a view of this size."""
    return len(view["blocks"]) <= VIEW_BLOCKS and len(json.dumps(view)) <= VIEW
