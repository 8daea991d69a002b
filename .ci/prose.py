"""Check the language of docstrings, comments, messages and documentation against the style rules.

usage: python .ci/prose.py [PATH ...] [--update | --init | --summary]

Without arguments, compares the number of findings in each group of files (the first two parts of the path) with
`.ci/prose-budget.json`, and prints the findings of every group that exceeds its budget. A budget can only go down.

    PATH ...     print every finding in these files and directories, whatever the budget
    --update     lower the budget to the current counts (never raises it)
    --init       write the budget from the current counts, for example after moving files
    --summary    print figures about names, docstrings and sizes

Exits 0 if all is well, 1 if there are findings that the budget does not cover.
"""

from __future__ import annotations

import argparse
import ast
import bisect
import fnmatch
import io
import json
import re
import statistics
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PYTHON = ("bot/**/*.py", "training/*.py")
MARKDOWN = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md", "deploy/*.md", "training/*.md")
BUDGET = ".ci/prose-budget.json"

EVERYWHERE = ("docstring", "comment", "string", "markdown")


# ---------------------------------------------------------------------------------------------------------------------
# Rules


@dataclass(frozen=True)
class Rule:
    """A banned construction and its replacement."""

    pattern: re.Pattern[str]
    use: str
    kinds: tuple[str, ...] = EVERYWHERE
    unless_after: re.Pattern[str] | None = None  # no finding if the text before the match ends with this


def rule(
    pattern: str, use: str, *, kinds: tuple[str, ...] = EVERYWHERE, unless_after: str | None = None
) -> Rule:
    """Build a rule from a pattern in which a space also matches a line break.

    Args:
        pattern: regular expression, matched case-insensitively.
        use: what to write instead.
        kinds: kinds of text the rule applies to.
        unless_after: expression that excuses a match if the text before it ends with it.
    """
    before = re.compile(rf"(?:{unless_after})\s*$", re.I) if unless_after else None
    return Rule(re.compile(pattern.replace(" ", r"[ \t]*[ \n][ \t]*"), re.I), use, kinds, before)


# Nouns after which "where" means a place.
_PLACE = (
    r"\b(?:places?|paths?|director(?:y|ies)|folders?|files?|lines?|pages?|positions?|offsets?|points?|locations?"
    r"|servers?|hosts?|columns?|fields?|sections?|sentences?|passages?|know|knows|shows?|shown|see|finds?|certain|clear"
    r"|from|to|of)"
)
_BE = r"(?:is|are|was|were)"
_SUBJECT = r"(?:it|that|this|there|they|he|she|nothing|none|no|one|both|all|neither|any|a|an|its|not|needed|possible)"
_VERB = r"(?:is|are|was|were|has|have|had|does|do|did|can|cannot|could|may|might|must|should|would|will)"

RULES = (
    rule(r"\banew\b", "again, or a verb with re-"),
    rule(r"\bwhoever\b", "the caller, the user, the client"),
    rule(r"\bnobody\b", "no user, no client"),
    rule(r"\bsomebody\b", "a user, a client"),
    rule(r"\b(?:is|are|was|were) told\b", "is logged, notified, reported, detected"),
    rule(r"\bstands\b(?! for\b)", "is, is in, is stored in, is valid"),
    rule(
        r"\bstand (?:in|on|at|beside|alone|there|here|before|above|below|around|between)\b(?! for\b)",
        "be in, be supported by",
    ),
    rule(
        r"(?:\b(?:none|nothing|empty|true|false)`?|[\"'`]{2}) (?-i:[Ww]here)\b",
        "or None if, or an empty string if",
    ),
    rule(rf"\b(?-i:[Ww]here) {_SUBJECT}\b", "if, when", unless_after=_PLACE),
    rule(rf"\b(?-i:[Ww]here) the \w+(?: \w+)? {_VERB}\b", "if, when", unless_after=_PLACE),
    rule(
        r"\A\s*(?:What|Who|Whose|Whom|Whether|How|Which|Where|When|Says?(?! whether))\b",
        "a noun phrase, or a verb such as Return",
        kinds=("docstring",),
    ),
    rule(r"\breturns? what\b", "Return the …"),
    rule(r"\bsays? whether\b", "Return True if …"),
    rule(r"\ball the same\b", "anyway, still", unless_after=r"\b(?:is|are|was|were|be)"),
    rule(r"\bby now\b", "by then, already"),
    rule(r"\bfor ever\b", "indefinitely"),
    rule(r"\bat once\b", "immediately, concurrently, together"),
    rule(
        rf"\b{_BE} no (?!longer\b|more\b|less\b|fewer\b|better\b|worse\b|way\b|need\b|op\b|one\b|\w+er than\b)\w+",
        "is not a",
        unless_after=r"\b(?:there|here)",
    ),
    rule(r"\blet(?:s|ting)? go\b", "release"),
    rule(r"\bput(?:s|ting)? away\b", "save, store"),
    rule(r"\b(?:take|takes|taken|taking|took|bring|brings|bringing|brought) in\b", "ingest, read"),
    rule(r"\bpass(?:ed)? over\b", "skip"),
    rule(r"\bpasses over what\b", "skips"),
    rule(rf"\b{_BE} away\b", "is unavailable"),
    rule(r"\b(?:go|goes|going|went|gone) on\b", "continue, resume"),
    rule(r"\bunder way\b", "in flight, in progress"),
    rule(r"\bback-ups?\b", "backup"),
)

# British spellings and their American ones: verbs in -ise and -yse, words in -our, and others with their plurals.
_IZE = """
    anonym apolog author canonical capital categor character critic custom emphas final formal general harmon initial
    item lemmat local maxim memor minim modern normal optim organ parallel penal priorit quant random real recogn
    sanit scrutin serial special stabil standard summar synchron token util vector visual
"""
_OR = "arm behavi col endeav fav flav hon hum neighb rum sav splend vig"
_VERBS = {f"{stem}is": f"{stem}iz" for stem in _IZE.split()} | {"analys": "analyz", "paralys": "paralyz"}
_STEMS = {f"{stem}our": f"{stem}or" for stem in _OR.split()}
_WORDS = {
    **{f"{stem}tre": f"{stem}ter" for stem in ("centime", "kilome", "millime", "cen", "li", "me", "thea")},
    **{f"{stem}elled": f"{stem}eled" for stem in ("chann", "lab", "mod", "trav")},
    **{f"{stem}elling": f"{stem}eling" for stem in ("chann", "lab", "mod", "trav")},
    "centred": "centered",
    "centring": "centering",
    "ageing": "aging",
    "amongst": "among",
    "artefact": "artifact",
    "defence": "defense",
    "fibre": "fiber",
    "grey": "gray",
    "judgement": "judgment",
    "learnt": "learned",
    "licence": "license",
    "misspelt": "misspelled",
    "offence": "offense",
    "programme": "program",
    "sceptic": "skeptic",
    "spelt": "spelled",
    "whilst": "while",
}
_BRITISH = re.compile(
    rf"\b(?:un|re|de|mis|dis)?(?:({'|'.join(_VERBS)})(?:e|(?<!lys)es|ed|er|ers|ing|ations?|able)"
    rf"|({'|'.join(_STEMS)})(?:s|ed|ing|able|ful|less|hood|ite|ites|al)?|({'|'.join(_WORDS)})s?)\b",
    re.I,
)


@dataclass(frozen=True)
class Exemption:
    """Words that are right in some files although a rule bans them."""

    paths: str  # glob
    words: str  # regular expression, searched for in the finding and the 40 characters on each side
    reason: str


# For example: Exemption("docs/*.md", r"6\.5 metres across", "quotes a sample article in British English").
EXEMPTIONS: tuple[Exemption, ...] = ()


def americanize(match: re.Match[str]) -> str:
    """Return the American spelling of a word that `_BRITISH` matched."""
    word = match[0]
    start, end = (
        match.start(match.lastindex or 0) - match.start(),
        match.end(match.lastindex or 0) - match.start(),
    )
    british = word[start:end].lower()
    american = word[:start] + (_VERBS | _STEMS | _WORDS)[british] + word[end:]
    return american.capitalize() if word[0].isupper() else american


# ---------------------------------------------------------------------------------------------------------------------
# Texts


@dataclass(frozen=True)
class Text:
    """A piece of prose in a file.

    Attributes:
        kind: "docstring", "comment", "string" or "markdown".
        line: line of its first character, from 1.
        last_line: line of its last character.
    """

    kind: str
    line: int
    last_line: int
    text: str


@dataclass(frozen=True)
class Finding:
    """A banned construction at a line of a file."""

    path: str
    line: int
    found: str
    use: str
    kind: str

    def __str__(self) -> str:
        return f'{self.path}:{self.line}: found "{self.found}": use {self.use}'


_CODE = re.compile(r"```.*?(?:```|\Z)|``[^`]+``|`(?!None`|\"\"`|True`|False`)[^`\n]*(?:\n[^`\n]+)?`", re.S)
_URL = re.compile(r"https?://[^\s)>\"']+")
_REGEX = re.compile(r"\\|\(\?|\w\|\w|\[\^|\.\*")  # a string with one of these is a pattern
_RAW = re.compile(rb"(?:r|rf|fr)[\"']", re.I)
_SEARCHES = ("startswith", "endswith", "find", "index", "count", "removeprefix", "removesuffix")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def read_markdown(source: str) -> list[Text]:
    """Return the one text of a Markdown file."""
    return [Text("markdown", 1, source.count("\n") + 1, source)]


def read_python(source: str) -> list[Text]:
    """Return the docstrings, comments and prose strings of a Python file."""
    tree = ast.parse(source)
    return [*_read_strings(tree, source), *_read_comments(source)]


def _read_comments(source: str) -> Iterator[Text]:
    """Yield comments; those on consecutive lines of their own are one text."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, column = token.start
        alone = not token.line[:column].strip()
        if block and not (alone and line == last + 1):
            yield Text("comment", first, last, "\n".join(block))
            block = []
        if not block:
            first = line
        block.append(token.string.lstrip("#! "))
        last = line if alone else -1
    if block:
        yield Text("comment", first, first + len(block) - 1, "\n".join(block))


def _read_strings(tree: ast.Module, source: str) -> Iterator[Text]:
    """Yield docstrings, and strings of two words or more that are not patterns, keys or lists of words."""
    nodes = list(ast.walk(tree))
    docstrings = set()
    for node in nodes:
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstrings.add(id(node.body[0].value))  # type: ignore[attr-defined]
    data = _find_data(nodes, source.encode().split(b"\n"))
    for node in nodes:
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        last_line = node.end_lineno or node.lineno
        if id(node) in docstrings:
            yield Text("docstring", node.lineno, last_line, node.value)
        elif id(node) not in data and len(node.value.split()) > 1 and not _REGEX.search(node.value):
            yield Text("string", node.lineno, last_line, node.value)


def _find_data(nodes: Sequence[ast.AST], lines: Sequence[bytes]) -> set[int]:
    """Return the ids of strings that are data: patterns, sets, keys, word lists, and operands of comparisons.

    Args:
        nodes: all nodes of a module.
        lines: lines of its source, encoded because the columns of nodes count bytes.
    """
    roots: list[ast.expr] = []
    for node in nodes:
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and _is_raw(node, lines):
            roots.append(node)
        if isinstance(node, (ast.Call, ast.Set, ast.Dict, ast.Compare, ast.JoinedStr)):
            roots += _find_data_roots(node)
    return {id(part) for root in roots for part in ast.walk(root) if isinstance(part, ast.Constant)}


def _is_raw(node: ast.expr, lines: Sequence[bytes]) -> bool:
    """Return True if a node is a raw string."""
    return _RAW.match(lines[node.lineno - 1][node.col_offset : node.col_offset + 3]) is not None


def _find_data_roots(node: ast.AST) -> list[ast.expr]:
    """Return the expressions in a node whose strings are data."""
    roots: list[ast.expr] = []
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"))):
            roots = node.args[:1]
        case ast.Call(func=ast.Attribute(attr="split", value=value)):
            roots = [value, *node.args]
        case ast.Call(func=ast.Attribute(attr=name)) if name in _SEARCHES:
            roots = node.args
        case ast.Call(func=ast.Name(id="set" | "frozenset")) | ast.Set():
            roots = node.args if isinstance(node, ast.Call) else node.elts
        case ast.Dict():
            roots = [key for key in node.keys if key is not None]
        case ast.Compare():
            roots = [node.left, *node.comparators]
        case ast.JoinedStr():
            whole = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            roots = [node] if _REGEX.search(whole) else []
    return roots


# ---------------------------------------------------------------------------------------------------------------------
# Findings


def check_text(text: Text, path: str, lines: Sequence[str]) -> Iterator[Finding]:
    """Yield the findings in one text.

    Args:
        path: path of the file, relative to the root.
        lines: lines of the file, to locate a finding in a string that spans several.
    """
    prose = _URL.sub(_blank, _CODE.sub(_blank, text.text))
    taken: list[tuple[int, int]] = []  # of two rules that match the same words, the first counts
    for checked in RULES:
        if text.kind not in checked.kinds:
            continue
        for match in checked.pattern.finditer(prose):
            excused = checked.unless_after and checked.unless_after.search(prose[: match.start()][-60:])
            overlaps = any(match.start() < end and start < match.end() for start, end in taken)
            if not (excused or overlaps or _is_exempt(path, prose, match)):
                taken.append(match.span())
                yield _make_finding(text, path, lines, match, checked.use)
    for match in _BRITISH.finditer(prose):
        if not _is_exempt(path, prose, match):
            yield _make_finding(text, path, lines, match, f'"{americanize(match)}"')


def _blank(match: re.Match[str]) -> str:
    """Replace code with characters that no rule matches, and keep the line breaks."""
    return re.sub(r"[^\n]", "\N{MIDDLE DOT}", match[0])


def _is_exempt(path: str, prose: str, match: re.Match[str]) -> bool:
    around = prose[max(0, match.start() - 40) : match.end() + 40]
    return any(fnmatch.fnmatch(path, it.paths) and re.search(it.words, around, re.I) for it in EXEMPTIONS)


def _make_finding(text: Text, path: str, lines: Sequence[str], match: re.Match[str], use: str) -> Finding:
    found = match[0].strip()
    line = text.line + text.text.count("\n", 0, match.start() + len(match[0]) - len(match[0].lstrip()))
    if text.kind == "string" and text.last_line > text.line:  # parts of a string, or a string with escapes
        start = re.split(r"\s", found)[0]
        span = range(text.line, text.last_line + 1)
        line = next((n for n in span if found in lines[n - 1]), None) or next(
            (n for n in span if start in lines[n - 1]), text.line
        )
    return Finding(path, line, re.sub(r"\s+", " ", found), use, text.kind)


def check_file(root: Path, path: str) -> list[Finding]:
    """Return the findings in one file, in the order of its lines."""
    source = (root / path).read_text(encoding="utf-8")
    texts = read_python(source) if path.endswith(".py") else read_markdown(source)
    lines = source.splitlines()
    return sorted(
        (finding for text in texts for finding in check_text(text, path, lines)), key=lambda it: it.line
    )


def list_files(root: Path) -> list[str]:
    """Return the paths of all files to check, relative to `root`."""
    found = {path for pattern in (*PYTHON, *MARKDOWN) for path in root.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(root).as_posix() for path in found)


def group_of(path: str) -> str:
    """Return the group of a file: the first two directories of its path, or its name if it is at the top."""
    return "/".join(path.split("/")[:-1][:2]) or path


# ---------------------------------------------------------------------------------------------------------------------
# Budget


def read_budget(root: Path) -> dict[str, int]:
    """Return the number of findings allowed in each group; groups that it does not name may have none."""
    path = root / BUDGET
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_budget(root: Path, counts: dict[str, int]) -> None:
    """Write the budget, without groups that may have no findings."""
    kept = {group: counts[group] for group in sorted(counts) if counts[group]}
    (root / BUDGET).write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def lower_budget(budget: dict[str, int], counts: dict[str, int]) -> dict[str, int]:
    """Return the budget with every group at its current count, if that is lower."""
    return {group: min(allowed, counts.get(group, 0)) for group, allowed in budget.items()}


def compare_budget(findings: Sequence[Finding], budget: dict[str, int]) -> tuple[list[str], list[str]]:
    """Compare the findings with the budget.

    Returns:
        Lines about the groups above their budget (empty if there are none), and hints about those below it.
    """
    counts = Counter(group_of(finding.path) for finding in findings)
    errors: list[str] = []
    hints: list[str] = []
    for group in sorted(counts.keys() | budget.keys()):
        count, allowed = counts[group], budget.get(group, 0)
        if count > allowed:
            errors += [str(finding) for finding in findings if group_of(finding.path) == group]
            errors.append(f"{group}: {_count(count, 'finding')}, budget {allowed}")
        elif count < allowed:
            hints.append(
                f"{group}: {_count(count, 'finding')}, budget {allowed}; run `python .ci/prose.py --update`"
            )
    return errors, hints


# ---------------------------------------------------------------------------------------------------------------------
# Summary


_PARTICIPLE = re.compile(
    r"(?!embed|feed|need|seed|speed|shed|exceed|proceed|succeed|bed|red|breed)\w+ed"
    r"|told|kept|said|begun|sought|torn|shown|known|given|held|found|made|taken|spoken|written|worn|struck"
)
_PREDICATES = ("is_", "has_", "can_", "should_", "was_", "are_")


def is_named_by_participle(name: str) -> bool:
    """Return True if a function is named by a past participle, such as `settled` or `_joined`."""
    name = name.strip("_").lower()
    if name.startswith(("test_", *_PREDICATES)):
        return False
    return _PARTICIPLE.fullmatch(name.split("_")[-1]) is not None


def summarize(root: Path, findings: Sequence[Finding]) -> str:
    """Return figures about names, docstrings and sizes as text."""
    functions: list[str] = []
    docstrings = 0
    sizes: list[int] = []
    for path in list_files(root):
        if not path.endswith(".py"):
            continue
        source = (root / path).read_text(encoding="utf-8")
        nodes = list(ast.walk(ast.parse(source)))
        functions += [it.name for it in nodes if isinstance(it, (ast.FunctionDef, ast.AsyncFunctionDef))]
        docstrings += sum(isinstance(it, _DOCUMENTED) and ast.get_docstring(it) is not None for it in nodes)
        length = source.count("\n")
        if path.startswith("bot/") and not (path.endswith("__init__.py") and length <= 1):
            sizes.append(length)
    participles = sum(map(is_named_by_participle, functions))
    flagged = _count_flagged_docstrings(root, findings)
    readme = root / "README.md"
    words = len(readme.read_text(encoding="utf-8").split()) if readme.exists() else 0
    kinds = Counter(finding.kind for finding in findings)
    return "\n".join(
        (
            f"functions named by a past participle: {participles} of {len(functions)}"
            f" ({_percent(participles, len(functions))})",
            f"docstrings with a banned construction: {flagged} of {docstrings} ({_percent(flagged, docstrings)})",
            f"findings: {len(findings)} ({', '.join(f'{kind} {kinds[kind]}' for kind in EVERYWHERE)})",
            f"README: {words} words",
            f"modules of bot/: {len(sizes)}, median {statistics.median(sizes) if sizes else 0:.0f} lines",
        )
    )


def _count_flagged_docstrings(root: Path, findings: Sequence[Finding]) -> int:
    """Count docstrings with at least one finding."""
    count = 0
    by_path: dict[str, list[int]] = {}
    for finding in findings:
        if finding.kind == "docstring":
            by_path.setdefault(finding.path, []).append(finding.line)
    for path, lines in by_path.items():
        texts = read_python((root / path).read_text(encoding="utf-8"))
        starts = sorted(text.line for text in texts if text.kind == "docstring")
        count += len({bisect.bisect_right(starts, line) for line in lines})
    return count


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


# ---------------------------------------------------------------------------------------------------------------------
# Command line


def main(arguments: Sequence[str] | None = None, root: Path = Path(__file__).parents[1]) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description="Check the language of the repository.")
    parser.add_argument("paths", nargs="*", help="print every finding in these files and directories")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--update", action="store_true", help="lower the budget to the current counts")
    modes.add_argument("--init", action="store_true", help="write the budget from the current counts")
    modes.add_argument(
        "--summary", action="store_true", help="print figures about names, docstrings and sizes"
    )
    options = parser.parse_args(arguments)
    wanted = [path for path in list_files(root) if _is_below(path, options.paths)]
    findings = [finding for path in wanted for finding in check_file(root, path)]
    if options.paths:
        print(
            "\n".join(
                [*map(str, findings), f"{_count(len(findings), 'finding')} in {_count(len(wanted), 'file')}"]
            )
        )
        return int(bool(findings))
    if options.summary:
        print(summarize(root, findings))
        return 0
    counts = Counter(group_of(finding.path) for finding in findings)
    if options.init:
        write_budget(root, counts)
    elif options.update:
        write_budget(root, lower_budget(read_budget(root), counts))
    errors, hints = compare_budget(findings, read_budget(root))
    print(
        "\n".join([*errors, *hints, f"{_count(len(findings), 'finding')} in {_count(len(wanted), 'file')}"])
    )
    return int(bool(errors))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _is_below(path: str, directories: Sequence[str]) -> bool:
    """Return True if a path is one of these or in one of them, or if there are none."""
    tops = [directory.rstrip("/").removeprefix("./") for directory in directories]
    return not tops or any(top in {"", ".", path} or path.startswith(f"{top}/") for top in tops)


if __name__ == "__main__":
    sys.exit(main())
