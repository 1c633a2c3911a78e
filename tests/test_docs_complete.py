"""The documentation names every module and every problem code, and its commands and walk-throughs run as written.

In the pages under docs/ and in README.md and CHANGELOG.md:

- a `sh` block's lines that begin with `hegui` are run and must end with 0 or 1, those of a block marked `sh fails`
  with 2; `cp` and `sed` lines are run as they are;
- a `text` block that follows such a block shows what it prints: every line must be there, `…` stands for anything;
- in a walk-through, a `yaml` block after "New file `PATH`:" or "Append to `PATH`:" is written, and a `diff` block after
  "Change `PATH`:" is applied.

Each page runs in a folder of its own, into which the rule packs are copied. Commands that are not there are passed
over. Where the program prints something else on purpose, `HEGUI_UPDATE_DOCS=1 pytest tests/test_docs_complete.py` puts
the nearest line that is printed into the page, to be read as a diff.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

import cli

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
CHINESE = ("handbook.md",)
NOT_RUN = ("serve", "watch")
"""Commands that do not end by themselves."""
CHANGES_BY_ENGINE = "案卷清单", "agendas"
UPDATE = bool(os.environ.get("HEGUI_UPDATE_DOCS"))


@dataclass(frozen=True)
class Block:
    line: int
    info: str
    text: str
    before: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def blocks(page: Path) -> Iterator[Block]:
    """Fenced blocks with their info string and the last line of prose before them."""
    before, start, info, inside = "", 0, None, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            if info is None:
                info, start, inside = line[3:].strip(), number, []
            else:
                yield Block(start, info, "\n".join(inside), before)
                info, before = None, ""
        elif info is not None:
            inside.append(line)
        elif line.strip():
            before = line.strip()


# Completeness


MODULES = [
    path.relative_to(ROOT).as_posix()
    for part in ("engine", "facts")
    for path in sorted((ROOT / part).rglob("*.py"))
    if path.name != "__init__.py"
]


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_named_in_the_architecture(module: str) -> None:
    assert f"`{module}`" in (DOCS / "architecture.md").read_text(encoding="utf-8")


def test_the_architecture_names_no_module_that_is_gone() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:engine|facts|web)/[\w/]+\.py)`", text))
    assert not [module for module in sorted(named) if not (ROOT / module).exists()]


def test_the_list_of_problems_is_complete_and_up_to_date() -> None:
    check = [sys.executable, str(DOCS / "list_problems.py"), "--check"]
    run = subprocess.run(check, capture_output=True, text=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr


def test_every_problem_code_is_listed() -> None:
    from engine.errors import known_codes

    text = (DOCS / "problems.md").read_text(encoding="utf-8")
    for module in MODULES:
        name = module.removesuffix(".py").replace("/", ".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    assert not [code for code in known_codes() if f"| `{code}` |" not in text]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


# Running what the pages show


class Walk:
    """One page, followed from top to bottom."""

    def __init__(self, page: Path, folder: Path) -> None:
        self.page, self.folder, self.printed = page, folder, ""

    def follow(self) -> int:
        count = 0
        for block in blocks(self.page):
            where = f"{self.page.name}:{block.line}"
            file = re.match(r"(New file|Append to|Change|新建|追加到|改动) `([^`]+)`", block.before)
            match block.info:
                case "sh" | "sh fails":
                    count += self.run(block, where)
                case "text" if self.printed:
                    self.compare(block, where)
                case "yaml" | "csv" if file and file[1] in ("New file", "新建"):
                    (self.folder / file[2]).parent.mkdir(parents=True, exist_ok=True)
                    (self.folder / file[2]).write_text(block.text + "\n", encoding="utf-8")
                case "yaml" if file:
                    with (self.folder / file[2]).open("a", encoding="utf-8") as out:
                        out.write(block.text + "\n")
                case "diff" if file:
                    self.change(self.folder / file[2], block, where)
            if not block.info.startswith("sh"):
                self.printed = ""
        return count

    def run(self, block: Block, where: str) -> int:
        self.printed, count = "", 0
        for line in block.lines:
            line = line.split("  #")[0].strip()
            if line.startswith(("cp ", "sed ")):
                subprocess.run(["bash", "-c", line], check=True, cwd=self.folder)
            if not line.startswith("hegui ") or not exists(line):
                continue
            result = CliRunner().invoke(cli.main, split(line))
            self.printed += result.stdout + result.stderr
            wanted = (2,) if "fails" in block.info else (0, 1)
            assert result.exit_code in wanted, f"{where}: {line}: {result.exit_code}\n{result.output}\n{result.exception!r}"
            count += 1
        return count

    def compare(self, block: Block, where: str) -> None:
        printed = self.printed.splitlines()
        for line in block.lines:
            if line.strip() in ("", "…") or any(word in line for word in CHANGES_BY_ENGINE):
                continue
            pattern = ".*".join(re.escape(part) for part in line.rstrip().split("…"))
            if any(re.fullmatch(pattern, other.rstrip()) for other in printed):
                continue
            nearest = difflib.get_close_matches(line, printed, 1, 0.4)
            if UPDATE and nearest:
                text = self.page.read_text(encoding="utf-8")
                self.page.write_text(text.replace(line, nearest[0].rstrip()), encoding="utf-8")
                continue
            raise AssertionError(f"{where}: this line is not printed (any more): {line}\n{self.printed}")

    def change(self, path: Path, block: Block, where: str) -> None:
        old = "\n".join(line[1:] for line in block.lines if line[:1] in (" ", "-"))
        new = "\n".join(line[1:] for line in block.lines if line[:1] in (" ", "+"))
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{where}: these lines are not in {path.name} exactly once"
        path.write_text(text.replace(old, new), encoding="utf-8")


def split(line: str) -> list[str]:
    import shlex

    return shlex.split(line)[1:]


def exists(line: str) -> bool:
    """Whether the command is there and ends by itself; placeholders in capitals are no command."""
    words = [word for word in split(line) if not word.startswith("-")]
    if re.search(r"(?<![\w.])(ID|FILE|NAME|DATE)(?![\w.])|…", line) or (words and words[0] in NOT_RUN):
        return False
    group = cli.main
    for word in words:
        found = group.commands.get(word) if hasattr(group, "commands") else None
        if found is None:
            continue
        if not hasattr(found, "commands"):
            return True
        group = found
    return "--help" in line or "--version" in line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_runs_as_written(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEGUI_LANG", "zh" if page.name in CHINESE else "en")
    Walk(page, tmp_path).follow()


def test_the_pages_show_commands(tmp_path: Path) -> None:
    shown = [line for page in PAGES for block in blocks(page) if block.info.startswith("sh") for line in block.lines]
    assert len([line for line in shown if line.startswith("hegui ")]) > 25


# The evaluator of the walk-through


def load_walkthrough(tmp_path: Path) -> ModuleType:
    page = DOCS / "adding-an-evaluator.md"
    code = "from datetime import date\nfrom engine.types import DATE\n"
    code += "\n\n".join(block.text for block in blocks(page) if block.info == "python")
    path = tmp_path / "sqlite_evaluator.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("sqlite_evaluator", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_evaluator_of_the_walkthrough_agrees_with_the_reference(tmp_path: Path) -> None:
    from test_evaluators import ALL, some_facts

    module = load_walkthrough(tmp_path)
    written = compared = 0
    for pack, identity in ALL:
        try:
            found = module.check_sqlite(pack, pack.provision(identity), some_facts, random.Random(5), 12)
        except module.CannotWrite:
            continue
        written, compared = written + 1, compared + found
    assert written > 150
    assert compared > 1500
    assert isinstance(ALL[0][0].reference_date, date)
