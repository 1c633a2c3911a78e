"""What the bytes of a table's lines tell about its cells without reading them one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

if TYPE_CHECKING:
    import numpy as np

_PART = 1 << 17
"""Bytes looked at at a time: what is worked out about them stays in the processor's cache."""
UNTOLD = 100
"""Decimals from which on it does not matter how many they are."""
_ZERO, _NINE, _DOT, _E, _LOWER = ord("0"), ord("9"), ord("."), ord("e"), 0x20
_QUOTE, _END, _RETURN = ord('"'), ord("\n"), ord("\r")
_Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"
_Places: TypeAlias = "np.ndarray[Any, np.dtype[np.intp]]"
_Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"


def _codes(data: bytes) -> pl.Series:
    """Each byte's number. NumPy would look at them where they are, but is long in loading."""
    return pl.Series([data], dtype=pl.Binary).cast(pl.List(pl.UInt8)).explode()


def lines_and_decimals(data: bytes) -> tuple[int, int]:
    """How many lines end, and how many decimals the longest of all numbers has; `UNTOLD` where one has an exponent.

    What only looks like a number counts as well: that no number has more is certain.
    """
    codes = _codes(data)
    dot, digit = codes == _DOT, codes.is_between(_ZERO, _NINE)
    places, found = 0, dot
    while places < UNTOLD:
        found = found.head(found.len() - 1) & digit.slice(places + 1)  # dots that so many digits follow
        if not found.any():
            break
        places += 1
    if b"e" in data or b"E" in data:
        exponent = (codes == _E) | (codes == _E - _LOWER)
        if (exponent.slice(1) & (digit | dot).head(codes.len() - 1)).any():
            places = UNTOLD
    return int((codes == _END).sum()), places


def line_starts(data: bytes) -> list[int]:
    """Where each line begins, and where one more would."""
    starts = ((_codes(data) == _END).arg_true() + 1).to_list()
    return [0, *starts] if data.endswith(b"\n") else [0, *starts, len(data) + 1]


def oddly_quoted(data: bytes, delimiter: bytes) -> list[int]:
    """The lines whose quotes do more than enclose whole cells, by their place.

    In all others each quote opens a cell or closes it, so that they mean the same to every reader of
    CSV and end outside quotes.
    """
    import numpy as np

    whole = np.frombuffer(data, np.uint8)
    odd: list[int] = []
    start = lines = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _PART) + 1 or data.find(b"\n", start + _PART) + 1 or len(data)
        places, count = _odd_lines(whole[start:end], ord(delimiter))
        odd += [lines + place for place in places]
        start, lines = end, lines + count
    return odd


def _odd_lines(part: _Bytes, mark: int) -> tuple[list[int], int]:
    """The places of oddly quoted lines among some, and how many lines there are."""
    import numpy as np

    marks = np.flatnonzero((part == _QUOTE) | (part == _END))
    is_end = part[marks] == _END
    ends, quotes = np.flatnonzero(is_end), marks[~is_end]
    before = ends - np.arange(len(ends))
    """Quotes up to the end of each line."""
    if part[-1] != _END:
        before = np.append(before, len(quotes))
    counts = np.diff(before, prepend=0)
    odd = counts & 1 == 1
    if not odd.any() and _may_open(part, quotes[::2], mark).all() and _may_close(part, quotes[1::2], mark).all():
        return [], len(counts)
    opens = (np.arange(len(quotes)) - np.repeat(before - counts, counts)) & 1 == 0
    plain = np.where(opens, _may_open(part, quotes, mark), _may_close(part, quotes, mark))
    odd[np.repeat(np.arange(len(counts)), counts)[~plain]] = True
    return np.flatnonzero(odd).tolist(), len(counts)


def _may_open(part: _Bytes, quotes: _Places, mark: int) -> _Mask:
    """Which quotes stand where a cell begins."""
    left = part[(quotes - 1).clip(min=0)]
    found: _Mask = (left == mark) | (left == _END) | (quotes == 0)
    return found


def _may_close(part: _Bytes, quotes: _Places, mark: int) -> _Mask:
    """Which quotes stand where a cell ends."""
    right = part[(quotes + 1).clip(max=len(part) - 1)]
    found: _Mask = (right == mark) | (right == _END) | (right == _RETURN) | (quotes == len(part) - 1)
    return found


def delimiters_of(data: bytes, delimiter: bytes) -> int:
    """How many delimiters stand outside quotes, in lines none of which is oddly quoted."""
    if b'"' not in data:
        return data.count(delimiter)
    import numpy as np

    whole = np.frombuffer(data, np.uint8)
    within = np.cumsum(whole == _QUOTE, dtype=np.uint8) % 2 == 1
    return int(np.count_nonzero((whole == ord(delimiter)) & ~within))


__all__ = ["delimiters_of", "line_starts", "lines_and_decimals", "oddly_quoted"]
