"""Words the pages share; what stands in one place only is written there, in both languages."""

from __future__ import annotations

from datetime import date

from engine.errors import Lang
from engine.kinds import ADVERSE, UNDETERMINED
from engine.model import Text

GOOD = frozenset(("eligible", "eligible_amount_unspecified", "on_time", "compliant", "met", "stated", "not_triggered"))
"""Statuses nobody needs to act upon."""


def tone(status: str) -> str:
    """How a status is coloured: bad, good, open or plain; the words always stand beside it."""
    if status in ADVERSE:
        return "bad"
    if status == UNDETERMINED:
        return "open"
    return "good" if status in GOOD else "plain"


def day_text(day: date, lang: Lang) -> str:
    return f"{day.year}年{day.month}月{day.day}日" if lang == "zh" else day.isoformat()


ROLE_WORDS = {
    "viewer": Text("查阅", "viewer"),
    "officer": Text("经办", "officer"),
    "analyst": Text("分析", "analyst"),
}
