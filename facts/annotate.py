"""A copy of a workbook with its faulty cells coloured and commented, ready to send back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import Lang, Problem
from engine.files import replacing

_COLOURS = {"error": "FFFFC7CE", "warning": "FFFFEB9C"}
MAX_COMMENT = 1_000


def annotate(source: Path, target: Path, problems: Sequence[Problem], lang: Lang) -> int:
    """Write `target`: the workbook with each problem at its cell. The number of cells marked.

    Formulas stay formulas; what openpyxl cannot carry (some charts and images) is lost in the copy.
    """
    import openpyxl
    from openpyxl.comments import Comment
    from openpyxl.styles import PatternFill

    book = openpyxl.load_workbook(source)
    marked: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        at = problem.location
        if at.sheet is not None and at.cell is not None and at.sheet in book.sheetnames:
            marked.setdefault((at.sheet, at.cell), []).append(problem)
    for (sheet, cell), found in marked.items():
        worst = "error" if any(problem.severity == "error" for problem in found) else "warning"
        text = "\n".join(f"{problem.message(lang)}\n{problem.help(lang)}".strip() for problem in found)
        place = book[sheet][cell]
        place.fill = PatternFill("solid", fgColor=_COLOURS[worst])
        if hasattr(place, "comment") and type(place).__name__ != "MergedCell":
            place.comment = Comment(text[:MAX_COMMENT], "hegui")
    with replacing(target) as temporary:
        book.save(temporary)
    return len(marked)
