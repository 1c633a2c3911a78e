"""Writes docs/problems.md: every problem code, its sentences and what to do, from the registered wordings.

    python docs/list_problems.py            writes the page
    python docs/list_problems.py --check    exit code 1 where the page is out of date
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "problems.md"
sys.path.insert(0, str(ROOT))

from engine import errors  # noqa: E402

FIRST = ("engine.errors", "facts.problems")

HEAD = """\
# 问题代码一览 · Problem codes

程序发现的每一个问题都有固定的代码。先写位置，再写代码和说明，最后写建议。花括号是具体内容的位置。
本页由 `python docs/list_problems.py` 生成，请勿手改。

Every fault the program finds has a stable code. Braces stand for what is filled in. This page is written by
`python docs/list_problems.py`.
"""


def modules() -> list[str]:
    """Every module of the engine and of the facts; the ones that hold the wording first."""
    paths = [path for part in ("engine", "facts") for path in sorted((ROOT / part).rglob("*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths if path.name != "__init__.py"]
    return sorted(names, key=lambda name: (name != "facts.problems", name))


def collect() -> dict[str, dict[str, errors.Wording]]:
    """Wordings by the module that registers them. A module whose extra package is not installed is left out."""
    found = {"engine.errors": dict(errors._WORDINGS)}
    register = errors.register

    def remember(wordings: Mapping[str, errors.Wording]) -> None:
        register(wordings)
        module = sys._getframe(1).f_globals["__name__"]
        found.setdefault(module, {}).update(wordings)

    errors.register = remember
    try:
        for name in modules():
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                print(f"{name}: left out, {error}", file=sys.stderr)
    finally:
        errors.register = register
    return found


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip() or "—"


def page(found: Mapping[str, Mapping[str, errors.Wording]]) -> str:
    lines = [HEAD]
    for module, wordings in sorted(found.items(), key=lambda item: (item[0] not in FIRST, item[0])):
        lines += [f"## `{module}`", "", "| 代码 code | 说明 | 建议 | message | help |", "|---|---|---|---|---|"]
        for code, wording in sorted(wordings.items()):
            texts = map(cell, (wording.zh, wording.help_zh, wording.en, wording.help_en))
            lines.append(f"| `{code}` | " + " | ".join(texts) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    text = page(collect())
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print("docs/problems.md is out of date: run python docs/list_problems.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
