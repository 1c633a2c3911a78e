"""Texts as cells of a table that others open.

A cell that begins with `=`, `+`, `-` or `@` is written as text everywhere, so that a name in a
submission can never become a formula in an officer's spreadsheet.
"""

from __future__ import annotations

RISKY = ("=", "+", "-", "@", "\t", "\r")
"""With one of these a text may begin to be a formula."""
SPECIAL = (",", '"', "\n", *RISKY)
"""A text that holds none of these is a cell of CSV as it stands."""


def safe_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(RISKY) else text
