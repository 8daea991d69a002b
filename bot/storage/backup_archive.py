"""Backup file format: a tar archive led by a manifest of all other members.

With the manifest, a restore can check the members before it writes anything, and that none is missing. Members are not
compressed, because most of them are vectors, which do not shrink.
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

LIBRARY, VECTORS = "library.sqlite", "chroma"  # names in the archive and in the data directory
_MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 1 << 24
_BLOCK_SIZE = 1 << 20
# Path component without "..", leading dot, slash or drive, so that no path leads out of the directory.
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}")


def _check_safe_path(name: str) -> str:
    top, *below = name.split("/")
    if name != LIBRARY and not (top == VECTORS and below and all(map(_SAFE_NAME.fullmatch, below))):
        raise ValueError(f"{name[:80]!r} has no place in a data folder")
    return name


class MemberInfo(BaseModel):
    """Expected size in bytes and SHA-256 of a member."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """Contents of a backup, its time, and the Citewire version that wrote it."""

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
    parts: dict[Annotated[str, AfterValidator(_check_safe_path)], MemberInfo]

    @property
    def size(self) -> int:
        """Size in a data directory, in bytes."""
        return sum(part.size for part in self.parts.values())


def require_local_storage(settings: Settings) -> None:
    """Check that article store and vectors are in the data directory, and not on a server.

    Raises:
        BackupError: if a server is configured; it needs a backup of its own.
    """
    servers = {"CITEWIRE_DATABASE_URL": settings.database_url, "CITEWIRE_CHROMA_URL": settings.chroma_url}
    if named := " and ".join(name for name, value in servers.items() if value):
        raise BackupError(
            f"{named} is set: this command keeps what lies in the data folder; "
            "for servers there are deploy/backup.sh and deploy/restore.sh"
        )


def describe_member(file: BinaryIO) -> MemberInfo:
    """Return size and SHA-256 of an open file."""
    file.seek(0)
    digest, size = hashlib.sha256(), 0
    while block := file.read(_BLOCK_SIZE):
        digest.update(block)
        size += len(block)
    return MemberInfo(size=size, sha256=digest.hexdigest())


def write_archive(target: BinaryIO, manifest: Manifest, files: Mapping[str, BinaryIO]) -> None:
    """Write a tar archive of the manifest and the files in it.

    Args:
        target: the file to write to.
        manifest: the manifest.
        files: the open files by their names in the manifest; read from their start, block by block.
    """
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
    """Archive open for reading.

    Raises:
        BackupError: if it is not a complete backup.
    """

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.manifest = self._read_manifest()

    def extract_to(self, folder: Path) -> None:
        """Extract and verify all members.

        Only contents are used from the archive: no links, owners, modes or times, and only paths that the manifest
        model has validated.

        Args:
            folder: the directory to write to. After an error its contents are incomplete and must not be used.

        Raises:
            BackupError: if a member is missing, unexpected or damaged.
        """
        missing = dict(self.manifest.parts)
        for member in self._members():
            part = missing.pop(member.name, None)
            if part is None or not member.isreg() or member.size != part.size:
                raise BackupError(f"it holds {member.name[:80]!r}, which its manifest does not")
            self._write_member(member, part, folder / member.name)
        if missing:
            raise BackupError(f"it is cut short: {next(iter(missing))} is missing")

    def _read_manifest(self) -> Manifest:
        first = next(self._members(), None)
        if first is None or first.name != _MANIFEST or not first.isreg() or first.size > _MAX_MANIFEST_BYTES:
            raise BackupError("it does not begin with a manifest, as back-ups of Citewire do")
        try:
            return Manifest.model_validate_json(self._open_member(first).read())
        except ValidationError as exc:
            reason = exc.errors()[0]
            place = ".".join(str(step) for step in reason["loc"])[:80]
            raise BackupError(f"its manifest cannot be understood: {place}: {reason['msg']}") from exc

    def _members(self) -> Iterator[tarfile.TarInfo]:
        while (member := self._tar.next()) is not None:
            yield member

    def _open_member(self, member: tarfile.TarInfo) -> IO[bytes]:
        content = self._tar.extractfile(member)
        assert content is not None  # every regular file has content
        return content

    def _write_member(self, member: tarfile.TarInfo, part: MemberInfo, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = self._open_member(member)
        with path.open("xb") as file:
            digest = hashlib.sha256()
            while block := content.read(_BLOCK_SIZE):
                digest.update(block)
                file.write(block)
        if digest.hexdigest() != part.sha256:
            raise BackupError(f"{member.name} is not what was backed up")
