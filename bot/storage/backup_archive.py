"""The form of a back-up: a tar file that opens with a manifest of all its other members.

A reader therefore knows what it is about to get before it writes anything, and that it has got all of it. Members are
not compressed: most of them are vectors, which do not shrink.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Annotated, BinaryIO, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bot.errors import BackupError
from bot.settings import Settings

LIBRARY, VECTORS = "library.sqlite", "chroma"  # in the archive as in the data folder
_MANIFEST = "manifest.json"
_LARGEST_MANIFEST = 1 << 24
_BLOCK = 1 << 20
# A folder or file that cannot lead anywhere: no "..", no leading dot or slash, no drive.
_STEP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}")


def _is_safe_path(name: str) -> str:
    top, *below = name.split("/")
    if name != LIBRARY and not (top == VECTORS and below and all(map(_STEP.fullmatch, below))):
        raise ValueError(f"{name[:80]!r} has no place in a data folder")
    return name


class MemberInfo(BaseModel):
    """What a member must turn out to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What a back-up holds, and of which moment and which Citewire it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    citewire: str
    made: str
    schema_version: int
    library_id: str
    generation: int
    articles: int
    passages: int
    content_hash: str
    parts: dict[Annotated[str, AfterValidator(_is_safe_path)], MemberInfo]

    @property
    def size(self) -> int:
        """How many bytes it takes in a data folder."""
        return sum(part.size for part in self.parts.values())


def require_local_storage(settings: Settings) -> None:
    """Raise BackupError where library or vectors lie on a server, which has to be asked for them."""
    servers = {"CITEWIRE_DATABASE_URL": settings.database_url, "CITEWIRE_CHROMA_URL": settings.chroma_url}
    if named := " and ".join(name for name, value in servers.items() if value):
        raise BackupError(
            f"{named} is set: this command keeps what lies in the data folder; "
            "for servers there are deploy/backup.sh and deploy/restore.sh"
        )


def part_of(file: BinaryIO) -> MemberInfo:
    """Measure an open file."""
    file.seek(0)
    digest, size = hashlib.sha256(), 0
    while block := file.read(_BLOCK):
        digest.update(block)
        size += len(block)
    return MemberInfo(size=size, sha256=digest.hexdigest())


def pack(target: BinaryIO, manifest: Manifest, files: Mapping[str, BinaryIO]) -> None:
    """Write the manifest and the files that it names, block by block."""
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        head = manifest.model_dump_json(indent=2).encode()
        _add(tar, _MANIFEST, io.BytesIO(head), len(head))
        for name, part in manifest.parts.items():
            files[name].seek(0)
            _add(tar, name, files[name], part.size)


def _add(tar: tarfile.TarFile, name: str, file: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    tar.addfile(member, file)


class BackupReader:
    """An archive open for reading. Raises BackupError where it is not a whole back-up."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.manifest = self._read_manifest()

    def extract_to(self, folder: Path) -> None:
        """Write every part below `folder` and check it; where something is amiss, what stands there is worthless.

        Content alone is taken from the archive: no link, owner, mode or time, and no path that the manifest's own
        check did not let through.
        """
        left = dict(self.manifest.parts)
        for member in self._members():
            part = left.pop(member.name, None)
            if part is None or not member.isreg() or member.size != part.size:
                raise BackupError(f"it holds {member.name[:80]!r}, which its manifest does not")
            self._write(member, part, folder / member.name)
        if left:
            raise BackupError(f"it is cut short: {next(iter(left))} is missing")

    def _read_manifest(self) -> Manifest:
        first = next(self._members(), None)
        if first is None or first.name != _MANIFEST or not first.isreg() or first.size > _LARGEST_MANIFEST:
            raise BackupError("it does not begin with a manifest, as back-ups of Citewire do")
        try:
            return Manifest.model_validate_json(self._content(first).read())
        except ValidationError as exc:
            reason = exc.errors()[0]
            place = ".".join(str(step) for step in reason["loc"])[:80]
            raise BackupError(f"its manifest cannot be understood: {place}: {reason['msg']}") from exc

    def _members(self) -> Iterator[tarfile.TarInfo]:
        while (member := self._tar.next()) is not None:
            yield member

    def _content(self, member: tarfile.TarInfo) -> IO[bytes]:
        content = self._tar.extractfile(member)
        assert content is not None  # as of every regular file
        return content

    def _write(self, member: tarfile.TarInfo, part: MemberInfo, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = self._content(member)
        with path.open("xb") as file:
            digest = hashlib.sha256()
            while block := content.read(_BLOCK):
                digest.update(block)
                file.write(block)
        if digest.hexdigest() != part.sha256:
            raise BackupError(f"{member.name} is not what was backed up")
