"""What the bytes of a table's lines tell about its cells without reading them one by one."""

from __future__ import annotations

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
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1
    found: list[int] = [0, *ends.tolist()]
    if not data.endswith(b"\n"):
        found.append(len(data) + 1)
    return found


def has_finer_number(data: bytes, places: int) -> bool:
    """Whether anything that may be a number has more than so many decimals, or an exponent.

    True also where a text only looks like that; false is a proof that no number does.
    """
    whole = np.frombuffer(data, np.uint8)
    for start in range(0, len(whole), _PART):
        part = whole[start : start + _PART + places + 1]
        digit = (part - np.uint8(_ZERO)) < 10
        dot = part == _DOT
        count = len(part) - places - 1
        if count > 0:
            finer = dot[:count] & digit[1 : count + 1]
            for place in range(2, places + 2):
                finer &= digit[place : count + place]
            if finer.any():
                return True
        exponent = (part | np.uint8(_LOWER)) == _E
        if exponent.any() and (exponent[1:] & (digit | dot)[:-1]).any():
            return True
    return False


__all__ = ["count_of", "has_finer_number", "line_starts"]
