"""Makes small PDFs by hand: pages of lines, one below the other."""

from __future__ import annotations

import io
from collections.abc import Sequence

from pypdf import PdfReader, PdfWriter

_WIDTHS = " ".join(["500"] * 224)
_FONT = f"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding/FirstChar 32/LastChar 255/Widths[{_WIDTHS}]>>"


def pdf(pages: Sequence[Sequence[str]], *, info: str = "") -> bytes:
    """Return a PDF whose pages show these lines; `info` is what its information dictionary holds."""
    return objects(
        [stream(b"BT /F1 10 Tf 72 770 Td 14 TL " + b" ".join(map(_shown, page)) + b" ET") for page in pages],
        info=info,
    )


def objects(
    contents: Sequence[bytes], *, info: str = "", resources: str = "", more: Sequence[bytes] = ()
) -> bytes:
    """Return a PDF with a page for each of these content streams, and `more` objects behind them (from number 4)."""
    first = 4 + len(more)
    pages = [first + 2 * n for n in range(len(contents))]
    body = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{' '.join(f'{n} 0 R' for n in pages)}]/Count {len(pages)}>>".encode(),
        f"<<{info}>>".encode("latin-1"),
        *more,
    ]
    for number, content in zip(pages, contents, strict=True):
        body.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {number + 1} 0 R"
            f"/Resources<</Font<</F1 {_FONT}>>{resources}>>>>".encode()
        )
        body.append(content)
    out = io.BytesIO(b"%PDF-1.7\n")
    out.seek(0, io.SEEK_END)
    places = []
    for number, part in enumerate(body, 1):
        places.append(out.tell())
        out.write(f"{number} 0 obj\n".encode() + part + b"\nendobj\n")
    table = out.tell()
    out.write(f"xref\n0 {len(body) + 1}\n0000000000 65535 f \n".encode())
    out.writelines(f"{place:010} 00000 n \n".encode() for place in places)
    out.write(
        f"trailer\n<</Size {len(body) + 1}/Root 1 0 R/Info 3 0 R>>\nstartxref\n{table}\n%%EOF\n".encode()
    )
    return out.getvalue()


def stream(data: bytes, entries: str = "") -> bytes:
    """Return a stream object."""
    return f"<</Length {len(data)}{entries}>>\nstream\n".encode() + data + b"\nendstream"


def locked(data: bytes, password: str) -> bytes:
    """Return a PDF encrypted for this password."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(password, owner_password="owner")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _shown(line: str) -> bytes:
    quoted = line.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
    return b"(" + quoted + b") Tj T*"
