"""MkDocs hook: copy the repository files that the pages link to into the site, and point the links at the copies.

In the repository, `../deploy/README.md` is the right link from a page in docs/. MkDocs rejects it because the target
is outside docs/. This hook adds each such file to the site under repository/, and the files that it links to in turn.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^()\s#]+)")
_FOLDER = "repository/"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the linked repository files to the site."""
    waiting = [file.src_uri for file in files.documentation_pages()]
    while waiting:
        page = _in_repository(waiting.pop())
        for target in _targets(page):
            if target.startswith("docs/") or not (ROOT / target).is_file():
                continue  # a page of the site, or a broken link, which MkDocs reports
            if files.get_file_from_path(_in_site(target)) is None:
                files.append(File.generated(config, _in_site(target), abs_src_path=str(ROOT / target)))
                if target.endswith(".md"):
                    waiting.append(_in_site(target))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Rewrite the links that lead from docs/ into the repository, or back."""
    here = page.file.src_uri
    folder = posixpath.dirname(_in_repository(here))

    def rewritten(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[1]))
        return posixpath.relpath(_in_site(target), posixpath.dirname(here) or ".")

    return _LINK.sub(rewritten, markdown)


def _targets(page: str) -> set[str]:
    text = (ROOT / page).read_text("utf-8")
    return {posixpath.normpath(posixpath.join(posixpath.dirname(page), link)) for link in _LINK.findall(text)}


def _in_repository(src_uri: str) -> str:
    return src_uri.removeprefix(_FOLDER) if src_uri.startswith(_FOLDER) else f"docs/{src_uri}"


def _in_site(path: str) -> str:
    return path.removeprefix("docs/") if path.startswith("docs/") else _FOLDER + path
