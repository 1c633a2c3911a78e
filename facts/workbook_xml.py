"""What a workbook's own XML says that a cell reader leaves out.

Number formats (a share shown as 85 %, amounts shown in 万元), the
1904 date system. No document type is accepted and every part is unpacked under a limit. The
sheets themselves are `sheet_xml`.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import field
from typing import IO, Any
from xml.parsers import expat

from engine.dataclass import dataclass
from engine.errors import FactError, Problem
from engine.source import Location
from facts.columns import unit_of
from facts.numbers import Shown

MAX_UNPACKED = 500_000_000
MAX_RATIO = 400
"""Bytes out per byte in; a sheet of one repeated word reaches about 150."""
RATIO_FROM = 20_000_000
MAX_PARTS = 10_000
Start = Callable[[str, list[str]], None]


@dataclass
class SheetPart:
    """One sheet of a workbook: its name, the part that holds it, whether it is hidden."""

    name: str
    part: str


@dataclass
class BookXml:
    """An opened workbook archive with what its small parts say."""

    archive: zipfile.ZipFile
    name: str
    sheets: list[SheetPart] = field(default_factory=list)
    date1904: bool = False
    never_computed: bool = False
    styles: list[Shown | None] = field(default_factory=list)


def open_archive(path: str, name: str) -> zipfile.ZipFile:
    """The archive, within its limits.

    Errors (`FactError`): `broken-workbook`, `workbook-too-large`, `file-encrypted`.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise broken(name, str(error)) from None
    infos = archive.infolist()
    unpacked, packed = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
    if unpacked > MAX_UNPACKED or len(infos) > MAX_PARTS or (
        unpacked > RATIO_FROM and unpacked > MAX_RATIO * max(packed, 1)
    ):
        raise FactError(Problem("workbook-too-large", Location(name), {
            "size": unpacked // 1_000_000, "limit": MAX_UNPACKED // 1_000_000, "packed": packed // 1000}))  # fmt: skip
    if any(info.flag_bits & 1 for info in infos):
        raise FactError(Problem("file-encrypted", Location(name), {}))
    return archive


def broken(name: str, reason: str) -> FactError:
    """The error of a workbook that cannot be read."""
    return FactError(Problem("broken-workbook", Location(name), {"reason": reason}))


class XmlPass:
    """A streaming pass over XML that accepts no document type; local names only."""

    def __init__(self, start: Start | None, end: Callable[[str], None] | None = None) -> None:
        self.parser: Any = expat.ParserCreate()
        self.parser.ordered_attributes = True
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = start
        self.parser.EndElementHandler = end

    def _doctype(self, *_: object) -> None:
        raise Doctype

    def parse(self, stream: IO[bytes]) -> None:
        self.feed(iter(lambda: stream.read(1 << 18), b""))

    def feed(self, pieces: Iterable[bytes]) -> None:
        """The pass over a document in pieces."""
        for piece in pieces:
            self.parser.Parse(piece, False)
        self.parser.Parse(b"", True)


class Doctype(Exception):
    """A part that declares a document type."""


def parse_part(
    archive: zipfile.ZipFile, part: str, name: str, start: Start | None, end: Callable[[str], None] | None = None
) -> None:
    """One pass over a part; a part that is not there is passed over.

    Errors (`FactError`): `broken-workbook`, `workbook-doctype`.
    """
    try:
        with archive.open(part) as stream:
            XmlPass(start, end).parse(stream)
    except KeyError:
        return
    except Doctype:
        raise FactError(Problem("workbook-doctype", Location(name), {"part": part})) from None
    except expat.ExpatError as error:
        raise broken(name, f"{part}: {error}") from None
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise broken(name, f"{part}: {error}") from None
    except Exception as error:
        if type(error).__module__ == "zlib":
            raise broken(name, f"{part}: {error}") from None
        raise


def local(tag: str) -> str:
    """A tag without its namespace prefix."""
    return tag.rpartition(":")[2]


def pairs(attributes: list[str]) -> dict[str, str]:
    """Attributes by local name."""
    return {local(key): value for key, value in zip(attributes[::2], attributes[1::2], strict=True)}


def read_book(archive: zipfile.ZipFile, name: str) -> BookXml:
    """The sheets, date system and number formats of an xlsx workbook."""
    book = BookXml(archive, name)
    targets: dict[str, tuple[str, str]] = {}
    root = _relations(archive, "_rels/.rels", name)
    workbook = next((target for kind, target in root.values() if kind.endswith("/officeDocument")), "xl/workbook.xml")
    folder, _, leaf = workbook.rpartition("/")
    targets = _relations(archive, f"{folder}/_rels/{leaf}.rels" if folder else f"_rels/{leaf}.rels", name, folder)

    def start(tag: str, attributes: list[str]) -> None:
        match local(tag):
            case "workbookPr":
                book.date1904 = pairs(attributes).get("date1904", "0") in ("1", "true", "on")
            case "calcPr":
                book.never_computed = pairs(attributes).get("fullCalcOnLoad", "0") in ("1", "true")
            case "sheet":
                values = pairs(attributes)
                _, part = targets.get(values.get("id", ""), ("", ""))
                book.sheets.append(SheetPart(values.get("name", ""), part))

    parse_part(archive, workbook, name, start)
    styles = next((target for kind, target in targets.values() if kind.endswith("/styles")), f"{folder}/styles.xml")
    book.styles = _styles(archive, styles, name)
    strings = next((target for kind, target in targets.values() if kind.endswith("/sharedStrings")), "")
    if strings:
        _check_stream(archive, strings, name)
    return book


def _relations(archive: zipfile.ZipFile, part: str, name: str, folder: str = "") -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}

    def start(tag: str, attributes: list[str]) -> None:
        if local(tag) == "Relationship":
            values = pairs(attributes)
            target = values.get("Target", "")
            absolute = target.startswith("/")
            target = target.lstrip("/") if absolute else posixpath.normpath(posixpath.join(folder, target))
            found[values.get("Id", "")] = (values.get("Type", ""), target)

    parse_part(archive, part, name, start)
    return found


def _check_stream(archive: zipfile.ZipFile, part: str, name: str) -> None:
    """Unpack a part that only the cell reader reads, for its checksum, its true size and a document type."""
    try:
        with archive.open(part) as stream:
            tail = b""
            while chunk := stream.read(1 << 20):
                if b"<!DOCTYPE" in tail + chunk or b"<!ENTITY" in tail + chunk:
                    raise FactError(Problem("workbook-doctype", Location(name), {"part": part}))
                tail = chunk[-16:]
    except KeyError:
        return
    except FactError:
        raise
    except Exception as error:  # zlib.error has no common base with BadZipFile
        raise broken(name, f"{part}: {error}") from None


# Number formats

_BUILTIN_PERCENT = {9, 10}


def _styles(archive: zipfile.ZipFile, part: str, name: str) -> list[Shown | None]:
    formats: dict[int, str] = {}
    styles: list[Shown | None] = []
    inside = False

    def start(tag: str, attributes: list[str]) -> None:
        nonlocal inside
        match local(tag):
            case "numFmt":
                values = pairs(attributes)
                formats[to_int(values.get("numFmtId"))] = values.get("formatCode", "")
            case "cellXfs":
                inside = True
            case "xf" if inside:
                number = to_int(pairs(attributes).get("numFmtId"))
                styles.append(Shown(percent=True) if number in _BUILTIN_PERCENT else shown_by(formats.get(number, "")))

    def end(tag: str) -> None:
        nonlocal inside
        if local(tag) == "cellXfs":
            inside = False

    parse_part(archive, part, name, start, end)
    return styles


def to_int(text: str | None) -> int:
    """A whole number in an attribute, -1 where there is none."""
    return int(text) if text and text.isdecimal() and len(text) < 10 else -1


_LITERAL = re.compile(r'"([^"]*)"|\\(.)|!(.)|_.|\*.|\[[^\]]*\]')


def shown_by(code: str) -> Shown | None:
    """What a number format does to the meaning of a number, None where nothing.

    `0.00%` shows a share, `0.00"万元"` an amount in 万元, `0!.0,"万"` and `0.0,,` another number than
    the one stored, `000000` digits with zeros in front.
    """
    section = code.split(";")[0]
    literals = "".join(match[1] or match[2] or match[3] or "" for match in _LITERAL.finditer(section))
    bare = _LITERAL.sub("", section)
    if "%" in bare:
        return Shown(percent=True)
    if re.search(r"[0#?],+(?![0#?])", bare) or re.search(r'[0#][\\!]\.|[0#]"\."', section):
        return Shown(scaled=True)
    unit = unit_of(literals) or unit_of(re.sub(r"[\[\]0#?.,_\-\\\"\s]", "", section))
    if unit is not None:
        return Shown(unit=unit)
    if re.fullmatch(r"0{2,}", bare):
        return Shown(padded=len(bare))
    return None
