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

SKIPPED_WORDS = {
    "blank": Text("空行", "blank"),
    "total": Text("合计行", "totals"),
    "note": Text("备注行", "notes"),
    "heading": Text("表头", "headings"),
    "numbering": Text("编号行", "numbering"),
    "title": Text("标题行", "titles"),
    "unrecognised": Text("未识别的表", "not recognised"),
    "cell": Text("单元格有误", "bad cells"),
    "row": Text("行有误", "bad rows"),
    "duplicate": Text("重复", "duplicates"),
    "partner": Text("找不到所属对象", "without a partner"),
    "fellow": Text("同组有误", "belongs to a rejected case"),
    "calendar": Text("超出节假日历", "beyond the calendar"),
}
"""Why a row was skipped or rejected."""
