"""What the columns of stored facts and of outcomes are called, in every columnar engine."""

from __future__ import annotations

STATUS, ERROR = "status", "error"


def value_column(name: str) -> str:
    """The result column of an output."""
    return f"value:{name}"


def denominator_column(name: str) -> str:
    """The result column of an output's denominator, where it is not the same for every row."""
    return f"denominator:{name}"


def missing_column(name: str) -> str:
    """The flag that a fact is among those that would decide an undetermined row."""
    return f"missing:{name}"
