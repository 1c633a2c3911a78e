"""The rows of a sheet's XML that hold nothing but plain cells, told by a pattern instead of event by event.

Most rows of a large sheet are such: cells in order, each with its reference, a style, a value, and no
formula, error or anything unusual. They are taken out of what the XML parser is given, which then sees
every other row, and all of a sheet in which a row could be something else than it looks like (comments,
processing instructions, bytes that are no UTF-8).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Protocol

CHUNK = 1 << 18
LONGEST = 1 << 22
"""Bytes without the end of a row from which on rows are left to the parser."""
_BEGIN, _END = b"<sheetData>", b"</row>"
_HIDING = (b"<!", b"<?")
"""With these something begins in which a row is none."""
_UNSURE = b"\xef\xbf"
"""Begins the few characters that XML does not allow."""
_TEXT = rb"[^<>&\x00-\x08\x0b\x0c\x0e-\x1f]*+"
_CELL = (rb'<c r="[A-Z]{1,3}\1"(?: s="\d+")?(?: t="(?:s|n|str|inlineStr|b)")?(?:/>|>(?:<v>' + _TEXT
         + rb'</v>|<is><t(?: xml:space="preserve")?>' + _TEXT + rb"</t></is>)?</c>)")
_ROW = re.compile(rb'\s*+<row r="([1-9]\d{0,6})"(?: (?:hidden="(?:0|false)"|(?!(?:\w++:)?(?:r|hidden)=)[\w:.]++="'
                  rb'[^"<&]*+"))*+>(?:' + _CELL + rb")*+</row>")
_LETTERS = re.compile(rb'<c r="([A-Z]++)')


class Taker(Protocol):
    """Is told of plain rows, in order with what the parser finds; `may_take` tells whether rows can be told now."""

    def may_take(self) -> bool: ...
    def is_in_order(self, columns: tuple[bytes, ...]) -> bool: ...
    def take(self, number: str, columns: tuple[bytes, ...], row: bytes) -> None: ...


def without_plain_rows(stream: IO[bytes], taker: Taker) -> Iterator[bytes]:
    """What is left of a sheet for the parser, piece by piece; plain rows go to the taker when their turn comes."""
    rest, begun, given_up = b"", False, False
    while chunk := stream.read(CHUNK):
        data, rest = rest + chunk, b""
        if not begun:
            start = data.find(_BEGIN) + len(_BEGIN)
            if start < len(_BEGIN):
                yield data
                continue
            yield data[:start]
            data, begun, given_up = data[start:], True, not taker.may_take()
        end = data.rfind(_END) + len(_END)
        given_up = given_up or any(mark in data for mark in _HIDING) or (end < len(_END) and len(data) > LONGEST)
        if given_up:
            yield data
            continue
        if end >= len(_END):
            yield from _left(data[:end], taker)
            data = data[end:]
        rest = data
    if rest:
        yield rest


def _left(data: bytes, taker: Taker) -> Iterator[bytes]:
    """Some rows without the plain ones."""
    if _UNSURE in data or not _is_utf8(data):
        yield data
        return
    fed = place = 0
    while place < len(data):
        found = _ROW.match(data, place)
        columns = tuple(_LETTERS.findall(data, place, found.end())) if found is not None else ()
        if found is None or not taker.is_in_order(columns):
            place = data.index(_END, place) + len(_END)
            continue
        if fed < place:
            yield data[fed:place]
            fed = place
        place = found.end()
        if taker.may_take():
            taker.take(found[1].decode(), columns, found[0])
            fed = place
    if fed < len(data):
        yield data[fed:]


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


__all__ = ["without_plain_rows"]
