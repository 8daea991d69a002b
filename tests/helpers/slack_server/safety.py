"""What in a text becomes a mention or a link when Slack shows it: the tests' judge of what may be sent.

    found(arguments) → "<!channel>", "https://evil.example", … each exactly as Slack would act on it

It reads what Slack reads: `<…>` in mrkdwn, links in Markdown, and bare addresses wherever Slack links them by itself.
Plain text objects are shown as they are.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

ANGLES = re.compile(r"(?<!\\)<([^<>\n]+)>")
MRKDWN = re.compile(r"<([^<>\n]+)>")  # a backslash escapes nothing there
BARE = re.compile(
    r"""(?ix)
    (?: https?:// | www\. | mailto: ) [^\s<>|"']+
    | (?<![\w.@/-]) [\w.+-]+ @ (?: [\w-]+ \. )+ [a-z]{2,}
    | (?<![\w.@/-]) (?: [a-z0-9-]+ \. )+
      (?: com | org | net | io | dev | info | news | example | uk | de | fr | eu | gov | edu | ru | cn | me | ly ) \b
      (?! [\w-] ) (?: / [^\s<>|]* )?
    """
)
SHOUTED = re.compile(r"(?<!\w)@(?:channel|here|everyone)\b", re.IGNORECASE)
# A Markdown link or image, inline or by reference, whose brackets are not escaped; a label may hold `[1]`.
MARKDOWN = re.compile(
    r"(?<!\\)!?\[(?:[^\[\]\\]|\\.|\[(?:[^\[\]\\]|\\.)*\])*\]\(\s*<?((?:[^\s()<>\\]|\\.|\([^\s()]*\))+)[^()\n]*\)"
)
REFERENCE = re.compile(r"(?m)^ {0,3}(?<!\\)\[(?:[^\[\]\\]|\\.)+\]:\s*<?(\S+)")
ADDRESSES = frozenset({"url", "image_url", "title_url", "video_url", "thumbnail_url", "provider_icon_url"})


def found(arguments: Any) -> Iterator[str]:
    """Yield every mention (`<@U1>`, `<!here>`, `<#C1>`) and address that the arguments of a call would make."""
    if isinstance(arguments, dict):
        has_blocks = bool(arguments.get("blocks"))
        for key, value in arguments.items():
            yield from _in_argument(key, value, links=not has_blocks)


def _in_argument(key: str, value: Any, *, links: bool) -> Iterator[str]:
    if key == "text" and isinstance(value, str):
        yield from in_mrkdwn(value, bare=links)
    elif key == "markdown_text" and isinstance(value, str):
        yield from in_markdown(value)
    elif key in {"blocks", "view", "attachments", "chunks"}:
        yield from _in_node(value)


def _in_node(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _in_node(item)
    elif isinstance(node, dict):
        yield from _in_object(node)
        for key, value in node.items():
            if key in ADDRESSES and isinstance(value, str):
                yield value
            elif isinstance(value, dict | list):
                yield from _in_node(value)


def _in_object(node: dict[str, Any]) -> Iterator[str]:
    kind, text = node.get("type"), node.get("text")
    if kind == "mrkdwn":
        yield from in_mrkdwn(str(text), bare=not node.get("verbatim"))
    elif kind in {"markdown", "markdown_text"}:
        yield from in_markdown(str(text))
    elif kind == "task_update":
        for key in ("details", "output"):
            yield from in_markdown(str(node.get(key) or ""))
    elif kind in {"user", "usergroup", "channel", "broadcast"}:  # inside rich text
        yield {"user": "<@{user_id}>", "usergroup": "<!subteam^{usergroup_id}>", "channel": "<#{channel_id}>",
               "broadcast": "<!{range}>"}[kind].format(**node)  # fmt: skip


def in_mrkdwn(text: str, *, bare: bool) -> Iterator[str]:
    """Yield what Slack's own markup makes of a text; with `bare`, what it links by itself as well."""
    for inner in MRKDWN.findall(text):
        yield from _in_angles(inner)
    if bare:
        rest = MRKDWN.sub(" ", text)
        yield from BARE.findall(rest)
        yield from SHOUTED.findall(rest)


def in_markdown(text: str) -> Iterator[str]:
    """Yield what Markdown, as streams and markdown blocks have it, makes of a text."""
    for inner in ANGLES.findall(text):
        yield from _in_angles(inner)
    for pattern in (MARKDOWN, REFERENCE):
        yield from (re.sub(r"\\(.)", r"\1", address) for address in pattern.findall(text))
    rest = REFERENCE.sub(" ", MARKDOWN.sub(" ", ANGLES.sub(" ", text)))
    yield from BARE.findall(rest)


def _in_angles(inner: str) -> Iterator[str]:
    target, *labels = inner.split("|")
    if target.startswith("!date^"):
        parts = target.split("^")
        yield from (html.unescape(address) for address in parts[3:4])
    elif target[0] in "@!#":
        yield f"<{target}>"
    elif re.match(r"(?i)[a-z][a-z0-9+.-]*:", target) or "." in target or labels:
        yield html.unescape(target)
