"""What the bytes of a table's lines tell about its cells without reading them one by one."""

from __future__ import annotations

from typing import Any

import numpy as np

_PART = 1 << 17
"""Bytes looked at at a time: what is worked out about them stays in the processor's cache."""
_ZERO, _DOT, _E, _LOWER = ord("0"), ord("."), ord("e"), 0x20


def count_of(data: bytes, byte: bytes) -> int:
    """How often a byte occurs."""
    whole, wanted = np.frombuffer(data, np.uint8), ord(byte)
    return sum(int(np.count_nonzero(whole[start : start + _PART] == wanted)) for start in range(0, len(whole), _PART))


def line_starts(data: bytes) -> list[int]:
    """Where each line begins, and where one more would."""
    return [0, *(_line_ends(data) + 1).tolist()]


def _line_ends(data: bytes) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Where each line ends; the last may have no mark."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    return ends if data.endswith(b"\n") else np.append(ends, len(data))


def oddly_quoted(data: bytes, delimiter: bytes) -> list[int]:
    """The lines whose quotes do more than enclose whole cells, by their place.

    In all others each quote opens a cell or closes it, so that they mean the same to every reader of
    CSV and end outside quotes.
    """
    whole = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(whole == ord('"'))
    before = np.searchsorted(quotes, _line_ends(data))
    """Quotes up to the end of each line."""
    counts = np.diff(before, prepend=0)
    opens = np.arange(len(quotes)) & 1 == 0
    if (counts & 1).any():  # else a line's first quote is an even one of all
        opens = (np.arange(len(quotes)) - np.repeat(before - counts, counts)) & 1 == 0
    left = whole[np.maximum(quotes - 1, 0)]
    right = whole[np.minimum(quotes + 1, len(whole) - 1)]
    mark, end = ord(delimiter), ord("\n")
    plain = np.where(opens, (left == mark) | (left == end) | (quotes == 0),
                     (right == mark) | (right == end) | (right == ord("\r")) | (quotes == len(whole) - 1))
    if plain.all() and not (counts & 1).any():
        return []
    odd = np.repeat(np.arange(len(counts)), counts)[~plain]
    return [int(place) for place in np.unique(np.concatenate((odd, np.flatnonzero(counts & 1))))]


def delimiters_of(data: bytes, delimiter: bytes) -> int:
    """How many delimiters stand outside quotes, in lines none of which is oddly quoted."""
    if b'"' not in data:
        return count_of(data, delimiter)
    whole = np.frombuffer(data, np.uint8)
    within = np.cumsum(whole == ord('"'), dtype=np.uint8) % 2 == 1
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


def _is_digit(part: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return (part - np.uint8(_ZERO)) < 10


__all__ = ["count_of", "delimiters_of", "has_finer_number", "line_starts", "oddly_quoted"]
