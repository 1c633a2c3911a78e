"""Bytes → text for files that are text, and what kind a file is, told by its content.

Encodings in order: a byte order mark, strict UTF-8, then GB18030. No statistical guess: a short
Chinese heading in GB18030 is exactly what detectors get wrong.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from engine.errors import FactError, Problem, system_reason
from engine.source import Location

MAX_TEXT_BYTES = 500_000_000
MAX_CELL = 20_000_000
"""Bytes of a cell of a text."""
HEAD_ROWS = 40
"""Rows at the top of a table among which its heading is looked for."""
FileKind = Literal["xlsx", "xls", "ods", "csv", "json", "yaml"]

WORKBOOK_NAMES = {".xlsx": "xlsx", ".xlsm": "xlsx", ".xltx": "xlsx", ".xls": "xls", ".ods": "ods",
                   ".et": "xls"}  # fmt: skip
TEXT_NAMES: dict[str, FileKind] = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".json": "json", ".yaml": "yaml",
                                    ".yml": "yaml"}  # fmt: skip
_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype html|html|table|meta|head)", re.IGNORECASE)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def read_bytes(path: Path, name: str) -> bytes:
    """The whole file.

    Errors (`FactError`): `unreadable-file`, `is-folder`, `file-empty`, `file-too-large`.
    """
    try:
        if path.is_dir():
            raise FactError(Problem("is-folder", Location(name), {"path": name}))
        size = path.stat().st_size
        if size > MAX_TEXT_BYTES:
            raise FactError(Problem("file-too-large", Location(name), {"size": size, "limit": MAX_TEXT_BYTES}))
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise unreadable(name, system_reason(error)) from None
    if not data.strip(b"\x00 \r\n\t\xef\xbb\xbf"):
        raise FactError(Problem("file-empty", Location(name), {}))
    return data


def unreadable(name: str, reason: Mapping[str, str]) -> FactError:
    """That a file cannot be read, and why (`reason_zh`, `reason`)."""
    return FactError(Problem("unreadable-file", Location(name), {"path": name, **reason}))


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Errors (`FactError`): `unreadable-file` where the system cannot read it."""
    try:
        yield
    except OSError as error:
        raise unreadable(str(path), system_reason(error)) from None


def is_workbook(path: Path) -> bool:
    """Whether a file is a workbook by its name, or by how it begins. Errors as `reading`."""
    named = path.suffix.casefold() in WORKBOOK_NAMES
    if named or not path.is_file():
        return named
    with reading(path), path.open("rb") as file:
        return file.read(len(_OLE)).startswith((_ZIP, _OLE))


def kind_of(path: Path, data: bytes, name: str) -> tuple[FileKind, list[Problem]]:
    """What a file is; its content decides, its name only where the content is text.

    Errors (`FactError`): `file-encrypted`, `not-a-workbook`, `unknown-file-kind`. Warning: `wrong-extension`.
    """
    suffix = path.suffix.casefold()
    if data.startswith(_ZIP):
        kind = _zip_kind(path)
        if kind is None:
            raise FactError(Problem("not-a-workbook", Location(name), {"found_zh": "压缩包", "found_en": "an archive"}))
        return kind, _named(suffix, kind, name)
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise FactError(Problem("file-encrypted", Location(name), {}))
        return "xls", _named(suffix, "xls", name)
    if suffix in WORKBOOK_NAMES:
        kind_zh, kind_en = "文本或其他内容", "text or something else"
        if _HTML.match(data[:2000]):
            kind_zh, kind_en = "网页（HTML）", "a web page (HTML)"
        raise FactError(Problem("not-a-workbook", Location(name), {"found_zh": kind_zh, "found_en": kind_en}))
    if suffix in TEXT_NAMES:
        return TEXT_NAMES[suffix], []
    raise FactError(Problem("unknown-file-kind", Location(name), {
        "suffix": suffix or "（无 / none）", "known": sorted({*WORKBOOK_NAMES, *TEXT_NAMES})}))  # fmt: skip


def _zip_kind(path: Path) -> FileKind | None:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "content.xml" in names:
                return "ods"
            if "[Content_Types].xml" in names and any(name.endswith("workbook.xml") for name in names):
                return "xlsx"
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "xlsx"  # the workbook reader says what is broken
    return None


def _named(suffix: str, kind: FileKind, name: str) -> list[Problem]:
    if WORKBOOK_NAMES.get(suffix) == kind:
        return []
    return [Problem("wrong-extension", Location(name), {"suffix": suffix or "（无 / none）", "kind": kind}, "warning")]


def decode(data: bytes, name: str) -> str:
    """The text of a file.

    Errors (`FactError`): `broken-utf8`, `unknown-encoding`, `nul-bytes`.
    """
    text = _decode(data, name)
    if "\x00" in text:
        first = text.index("\x00")
        raise FactError(Problem("nul-bytes", Location(name, line=text.count("\n", 0, first) + 1),
                                {"count": text.count("\x00")}))
    return text


def _decode(data: bytes, name: str) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError as error:
                raise undecodable("broken-utf8" if mark == codecs.BOM_UTF8 else "unknown-encoding",
                                  error, name) from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if is_damaged_utf8(data):
            raise undecodable("broken-utf8", error, name) from None
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError as error:
        raise undecodable("unknown-encoding", error, name) from None


def is_damaged_utf8(data: bytes) -> bool:
    """Whether bytes that are no UTF-8 were meant to be.

    One bad byte must not turn a file in UTF-8 into readable nonsense: text in GB18030 hardly ever
    holds well-formed three-byte sequences, a damaged UTF-8 file holds many.
    """
    tolerant = data.decode("utf-8", "replace")
    good = sum(len(run) for run in re.findall("[\u0800-\ufffc]+", tolerant))
    return good > tolerant.count("\ufffd")


def undecodable(code: str, error: UnicodeDecodeError, name: str, first: int = 1) -> FactError:
    """What to say of bytes that could not be decoded; `first` is the number of their first line."""
    line = error.object.count(b"\n", 0, error.start) + first
    return FactError(Problem(code, Location(name, line=line), {"offset": byte_of_line(error)}))


def byte_of_line(error: UnicodeDecodeError) -> int:
    """Which byte of its line the first is that could not be decoded, counted from 1."""
    return error.start - error.object.rfind(b"\n", 0, error.start)
