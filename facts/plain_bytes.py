"""What the bytes of a table's lines tell about its cells without reading them one by one."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

_PART = 1 << 17
"""Bytes looked at at a time: what is worked out about them stays in the processor's cache."""
_ZERO, _DOT, _E, _LOWER = ord("0"), ord("."), ord("e"), 0x20
_QUOTE, _END, _RETURN = ord('"'), ord("\n"), ord("\r")
_Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
_Places: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]
_Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]


def count_of(data: bytes, byte: bytes) -> int:
    """How often a byte occurs."""
    whole, wanted = np.frombuffer(data, np.uint8), ord(byte)
    return sum(int(np.count_nonzero(whole[start : start + _PART] == wanted)) for start in range(0, len(whole), _PART))


def line_starts(data: bytes) -> list[int]:
    """Where each line begins, and where one more would."""
    return [0, *(_line_ends(data) + 1).tolist()]


def _line_ends(data: bytes) -> _Places:
    """Where each line ends; the last may have no mark."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _END)
    return ends if data.endswith(b"\n") else np.append(ends, len(data))


def oddly_quoted(data: bytes, delimiter: bytes) -> list[int]:
    """The lines whose quotes do more than enclose whole cells, by their place.

    In all others each quote opens a cell or closes it, so that they mean the same to every reader of
    CSV and end outside quotes.
    """
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
    left = part[np.maximum(quotes - 1, 0)]
    found: _Mask = (left == mark) | (left == _END) | (quotes == 0)
    return found


def _may_close(part: _Bytes, quotes: _Places, mark: int) -> _Mask:
    """Which quotes stand where a cell ends."""
    right = part[np.minimum(quotes + 1, len(part) - 1)]
    found: _Mask = (right == mark) | (right == _END) | (right == _RETURN) | (quotes == len(part) - 1)
    return found


def delimiters_of(data: bytes, delimiter: bytes) -> int:
    """How many delimiters stand outside quotes, in lines none of which is oddly quoted."""
    if b'"' not in data:
        return count_of(data, delimiter)
    whole = np.frombuffer(data, np.uint8)
    within = np.cumsum(whole == _QUOTE, dtype=np.uint8) % 2 == 1
    return int(np.count_nonzero((whole == ord(delimiter)) & ~within))


def has_finer_number(data: bytes, places: int) -> bool:
    """Whether anything that may be a number has more than so many decimals, or an exponent.

    True also where a text only looks like that; false is a proof that no number does.
    """
    whole = np.frombuffer(data, np.uint8)
    exponents = b"e" in data or b"E" in data
    for start in range(0, len(whole), _PART):
        part = whole[start : start + _PART + places + 1]
        dot = part == _DOT
        count = len(part) - places - 1
        if count > 0 and (dot[:count] & _is_digit(part[places + 1 :])).any():  # perhaps of the number behind
            digit = _is_digit(part)
            finer = dot[:count] & digit[1 : count + 1]
            for place in range(2, places + 2):
                finer &= digit[place : count + place]
            if finer.any():
                return True
        if exponents:
            exponent = (part | np.uint8(_LOWER)) == _E
            if (exponent[1:] & (_is_digit(part) | dot)[:-1]).any():
                return True
    return False


def _is_digit(part: _Bytes) -> _Mask:
    return (part - np.uint8(_ZERO)) < 10


__all__ = ["count_of", "delimiters_of", "has_finer_number", "line_starts", "oddly_quoted"]
