"""Imports point one way, and the engine knows no policy."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from engine import load_pack, pack_names

ROOT = Path(__file__).resolve().parent.parent

# Each module may import those of its own row and of the rows above.
LAYERS = [
    {"engine.dataclass"},
    {"engine.evaluate.naming", "engine.safe_text", "engine.source"},
    {"engine.errors", "engine.types"},
    {"engine.audit_store", "engine.files", "engine.intervals", "engine.values", "engine.yamltree"},
    {"engine.calendar", "engine.expr"},
    {"engine.builtins", "engine.model", "engine.parse", "engine.source_text", "engine.stored", "engine.terms"},
    {"engine.check", "engine.evaluate.python", "engine.inputs", "engine.periods", "engine.reader"},
    {"engine.kinds", "engine.normal", "engine.read_fields", "engine.tables"},
    {"engine.evaluate.columnar", "engine.evaluate.integers", "engine.solver", "engine.targets"},
    {"engine.encoding", "engine.evaluate.graph", "engine.read_dossier", "engine.read_provision"},
    {"engine.evaluate.simplify", "engine.load"},
    {"engine.evaluate.polars_backend", "engine.evaluate.sql_backend"},
    {"engine.declared", "engine.evaluate.pieces", "engine.listings", "engine.outcome", "engine.parts"},
    {
        "engine.evaluate.compiled", "engine.evaluate.relations", "engine.evaluate.sql_run", "engine.trace",
        "engine.witness",
    },
    {"engine.assessing", "engine.batch", "engine.cases", "engine.explain", "engine.findings"},
    {"engine.batch_table", "engine.dossier", "engine.exclusivity", "engine.proving", "engine.schedule"},
    {"engine.batch_cases"},
    {"engine.duties", "engine.evaluate.durable", "engine.evaluate.durable_records", "engine.evaluate.worker", "engine.verify"},
    {"engine.checking", "engine.evaluate.chaining"},
    {"engine.audit", "engine.audit_data", "engine.pack_diff", "engine.report"},
    {
        "engine.allotment", "engine.audit_replay", "engine.duty_report", "engine.mutation", "engine.output",
        "engine.reading_list", "engine.target_table",
    },
    {"engine.coverage", "engine.describe", "engine.trace_source"},
]
PLACE = {module: place for place, row in enumerate(LAYERS) for module in row}


def imports(path: Path) -> set[str]:
    """Modules imported when the file is, and inside its functions; not for types only."""
    return imported(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    """What some statements import: modules, and names that may be modules."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


ENGINE = [path for path in sorted((ROOT / "engine").rglob("*.py")) if path.name != "__init__.py"]


@pytest.mark.parametrize("path", ENGINE, ids=module_name)
def test_imports_point_up(path: Path) -> None:
    name = module_name(path)
    own = PLACE[name]
    for one in imports(path):
        if one in PLACE and one != name:
            allowed_later = (name, one) in LATER
            assert PLACE[one] <= own or allowed_later, f"{name} imports {one}"


# A pack's own methods reach for what works on packs, when they are called.
LATER = {
    ("engine.load", "engine.assessing"), ("engine.load", "engine.outcome"), ("engine.outcome", "engine.trace"),
}  # fmt: skip


@pytest.mark.parametrize("path", ENGINE, ids=module_name)
def test_the_engine_never_imports_what_stands_on_it(path: Path) -> None:
    assert not [name for name in imports(path) if name.split(".")[0] in ("facts", "cli", "web", "tests", "rules")]


def test_only_parse_reads_python() -> None:
    assert [module_name(path) for path in ENGINE if "ast" in imports(path)] == ["engine.parse"]


def test_no_provision_is_named_in_code() -> None:
    """A new policy is data: no id of a pack and no name of its place stands in engine or facts."""
    ids = {identity for name in pack_names() for identity in load_pack(name).ids}
    code = [*ENGINE, *(ROOT / "facts").rglob("*.py")]
    for path in code:
        text = path.read_text(encoding="utf-8")
        assert "楚雄" not in text, path
        for identity in ids:
            assert not re.search(rf"\b{re.escape(identity)}\b", text), f"{path} names {identity}"


def test_one_case_starts_without_the_heavy_packages(tmp_path: Path) -> None:
    case = tmp_path / "case.yaml"
    case.write_text("provision: fiscal.budget_cut.fundraising_shortfall\nas_of: 2019-12-31\n"
                    "inputs: {has_task: 是, task_amount: 1000万元, raised_amount: 850万元, next_year_public_funds: 200万元}\n",
                    encoding="utf-8")
    code = ("import sys, cli\ntry:\n    cli.main(['check', sys.argv[1]])\nexcept SystemExit:\n    pass\n"
            "print([name for name in ('polars', 'nicegui', 'fastapi', 'duckdb', 'pyspark', 'pandas', 'xlsxwriter') "
            "if name in sys.modules])")
    run = subprocess.run([sys.executable, "-c", code, str(case)], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout.strip().endswith("[]")
    assert "160,000.00" in run.stdout


WORDED = {"engine.errors": "", "facts.problems": "facts."}
"""Modules that word the problems of others, and whose: `facts` is loaded before any module of it."""


def _worded(tree: ast.Module) -> set[str]:
    """The codes that a module words: keys of the tables whose values are wordings."""
    return {key.value for node in ast.walk(tree) if isinstance(node, ast.Dict)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and isinstance(value, ast.Call)}


def _loaded_with(name: str, trees: dict[str, ast.Module], seen: set[str]) -> set[str]:
    """The modules of ours that are there when a module is, by the imports at its head."""
    if name not in seen and name in trees:
        seen.add(name)
        for one in imported(trees[name].body):
            _loaded_with(one, trees, seen)
    return seen


def test_who_reports_a_problem_has_its_wording() -> None:
    """A code without wording would be a crash in place of a message, in the process that has not loaded it by chance."""
    paths = [path for part in ("engine", "facts") for path in sorted((ROOT / part).rglob("*.py"))]
    trees = {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    worded = {name: _worded(tree) for name, tree in trees.items() if "register(" in ast.unparse(tree)}
    reported, missing = 0, {}
    for name, tree in trees.items():
        there = set().union(*(worded.get(one, set()) for one in _loaded_with(name, trees, set())), *(
            worded[one] for one, whose in WORDED.items() if name.startswith(whose)))
        codes = {node.args[0].value for node in ast.walk(tree)
                 if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem"
                 and node.args and isinstance(node.args[0], ast.Constant)}
        reported += len(codes)
        if codes - there:
            missing[name] = codes - there
    assert not missing, "reported, and worded by nothing that is loaded with it"
    assert reported > 150
