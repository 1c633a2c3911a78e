"""Group rules come to the same however they are computed: case by case, by columns in memory, by SQL from disk."""

from __future__ import annotations

import copy
import csv
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

import facts.batch_cases
import facts.blocks
import facts.csv_source
import needs
from commands.batch import batch as command
from engine.errors import FactError, Problem
from engine.evaluate import pieces
from engine.evaluate.pieces import DuckDbPieces
from engine.evaluate.relations import CASE, N, Relations
from engine.evaluate.sql_run import DuckDbEngine, Engine, PolarsEngine, SparkEngine
from engine.load import Pack, load_pack
from engine.model import Dossier, Field, FromAny, FromField, FromOutcome, FromSum
from engine.source import Location
from engine.types import Kind
from engine.values import yuan_text
from facts.batch import Batch, Options, Summary
from facts.case_tables import recognise_files
from facts.reading import read_facts
from facts_helpers import case_by_case

DAY = date(2019, 12, 31)
DOSSIERS = {"construction_firms": "chuxiong_2019", "industrial_firms": "chuxiong_2019", "departments": "chuxiong_2019",
            "fund_documents": "chuxiong_2019", "applicants": "yunling_talent_2026"}
PACKS = {name: load_pack(name) for name in set(DOSSIERS.values())}


@pytest.fixture(scope="module")
def pack() -> Pack:
    return PACKS["chuxiong_2019"]


def spark() -> Engine:
    """Spark on two of this machine's cores; a test that asks for it is skipped only where there is none."""
    needs.spark()
    return SparkEngine()


# Random submissions

NAMES = ["甲公司", "乙公司", "Ａ公司", "a公司", " 丙 公司", "丙公司", "Straße", "STRASSE"]
"""Some of them are one name written in several ways."""
TEXTS = ["桥", "路", "a|b", "a", "", "", "未知"]


def cell(field: Field, chance: random.Random, blank: float, bad: float) -> str:
    """A cell: at times blank, or no value at all."""
    pick = chance.random()
    if pick < blank:
        return ""
    if pick < blank + bad:
        return "？？"
    match field.type.kind:
        case Kind.BOOLEAN:
            return "是" if chance.random() < 0.8 else "否"
        case Kind.ENUM:
            return chance.choice([choice.label.zh for choice in field.choices])
        case Kind.TEXT:
            return chance.choice(TEXTS)
        case Kind.DATE:
            return chance.choice(["2019-04-30", "2019-12-31", "2018-01-01", "2019-06-01", "2031-01-01"])
        case Kind.MONEY:
            return chance.choice(["0", "1", "2.5", "10", "100000"])
    low = 0 if field.minimum is None else int(field.minimum)  # type: ignore[call-overload]
    return str(chance.choice([low, low + 1, low + 19]))


def submission(dossier: Dossier, folder: Path, chance: random.Random, names: list[str], rows: int) -> list[Path]:
    """A CSV for each record of a dossier, at times but one of the related ones."""
    key = dossier.records[dossier.subject].key
    related = [name for name in dossier.records if name != dossier.subject]
    blank, bad = chance.choice([0.0, 0.02, 0.15]), chance.choice([0.0, 0.01])
    if related and chance.random() < 0.3:
        related.remove(chance.choice(related))
    order = [dossier.subject, *related]
    chance.shuffle(order)
    paths = []
    for record in order:
        fields = dossier.records[record].fields
        lines = []
        count = len(names) if record == dossier.subject else rows
        for number in range(count):
            own = names[number] if record == dossier.subject else chance.choice(names)
            if chance.random() < 0.03:
                own = chance.choice(names) if record == dossier.subject else "没有的公司"
            lines.append([own if name == key else cell(field, chance, blank, bad) for name, field in fields.items()])
            if chance.random() < 0.05:
                lines.append(chance.choice([["合计"], [""], lines[-1]]))
        paths.append(folder / f"{record}.csv")
        with paths[-1].open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(field.label.zh for field in fields.values())
            writer.writerows([*line, *[""] * (len(fields) - len(line))] for line in lines)
    return paths


# What it comes to


def told(problems: list[Problem]) -> list[tuple[str, Location, str]]:
    return [(one.code, one.location, one.render("zh")) for one in problems if one.severity == "error"]


def run(pack: Pack, paths: list[Path], target: Path, engine: Callable[[], Engine],
        **options: Any) -> tuple[bytes, Summary] | str:
    """The result as bytes and the account, or why there is none."""
    job = Batch(pack, Options(as_of=DAY, engine=engine, **options))
    try:
        summary = job.run_together(paths, target, None)
    except FactError as error:
        assert not target.exists()
        return error.problems[0].code
    finally:
        job.close()
    assert not [path for path in target.parent.iterdir() if path.name.startswith(".")], "the temporary folder is gone"
    return target.read_bytes(), summary


def by_reference(pack: Pack, paths: list[Path]) -> Iterator[tuple[str, str, int, str, str, int | None]]:
    """Subject, provision, line, status, what counts, and the line that is paid instead; case by case."""
    submission = read_facts(paths, dossiers=pack.dossiers, provision=pack.find)
    for dossier, found in case_by_case(pack, submission, DAY):
        for item in found.items:
            instead = None if item.yields_to is None else found.items[item.yields_to].row.at.line
            counted = "" if item.paid is None or dossier.total is None else yuan_text(item.paid)
            yield (item.outcome.subject or "", item.matter.provision, item.row.at.line or 0, item.outcome.status,
                   counted, instead)


def by_batch(data: bytes) -> Iterator[tuple[str, str, int, str, str, int | None]]:
    for row in csv.DictReader(data.decode("utf-8-sig").splitlines()):
        yield (row["subject"], row["provision"], int(row["row"]), row["status"], row.get("counted") or "",
               int(row["yields"]) if row.get("yields") else None)


def account(summary: Summary) -> tuple[object, ...]:
    return (summary.rows_in, summary.evaluated, dict(summary.rejected), dict(summary.skipped), summary.problems_in_all,
            {name: dict(counts) for name, counts in summary.sums.statuses.items()}, summary.sums.money,
            summary.sums.counted)


def compare(pack: Pack, paths: list[Path], folder: Path, engine: Callable[[], Engine], **options: Any) -> str:
    """Both ways through a submission; the code of the error in which they end, or that they end well."""
    in_memory = run(pack, paths, folder / "memory.csv", PolarsEngine, **options)
    on_disk = run(pack, paths, folder / "disk.csv", engine, **options)
    if isinstance(in_memory, str) or isinstance(on_disk, str):
        assert in_memory == on_disk
        return str(in_memory)
    assert on_disk[0].decode() == in_memory[0].decode()
    assert account(on_disk[1]) == account(in_memory[1])
    assert told(on_disk[1].problems) == told(in_memory[1].problems)
    if options.get("shape") != "wide":
        assert list(by_batch(in_memory[0])) == list(by_reference(pack, paths))
    return "ended well"


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks and chunks of a few rows, so that groups lie across them."""
    monkeypatch.setattr(pieces, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(facts.blocks, "SMALLEST", 50)
    blocks = facts.csv_source.Source.blocks
    monkeypatch.setattr(facts.csv_source.Source, "blocks", lambda self, _=0: blocks(self, 300))


def random_submission(name: str, seed: int, folder: Path, rows: int | None = None) -> list[Path]:
    chance = random.Random(f"{name} {seed}")
    names = chance.sample(NAMES, chance.randint(0, 4)) + [f"企业{number}" for number in range(chance.choice([3, 15]))]
    return submission(PACKS[DOSSIERS[name]].dossiers[name], folder, chance, names, rows or chance.choice([5, 60, 200]))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", DOSSIERS)
@pytest.mark.usefixtures("small_chunks")
def test_sql_says_what_columns_and_cases_say(name: str, seed: int, tmp_path: Path) -> None:
    engine: Callable[[], Engine] = DuckDbEngine if seed % 2 else lambda: PolarsEngine("512MB")
    how = compare(PACKS[DOSSIERS[name]], random_submission(name, seed, tmp_path), tmp_path, engine)
    assert how == "ended well" or name not in ("construction_firms", "industrial_firms")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.usefixtures("small_chunks")
def test_one_row_a_subject(pack: Pack, seed: int, tmp_path: Path) -> None:
    paths = [path for path in random_submission("industrial_firms", seed, tmp_path) if path.stem != "centre"]
    assert compare(pack, paths, tmp_path, DuckDbEngine, shape="wide") == "ended well"
    assert b":status" in (tmp_path / "disk.csv").read_bytes()


@pytest.mark.parametrize("engine", [DuckDbEngine, pytest.param(spark, marks=pytest.mark.long)])
def test_ties_unknown_keys_and_groups_of_none(pack: Pack, engine: Callable[[], Engine], tmp_path: Path) -> None:
    """Of equals the first is paid; a row without a key is a group of its own, and what may belong is not known."""
    files = {
        "firms": ["企业名称,在本州注册,总部迁驻楚雄", "甲,是,否", "乙,是,否", "丙,是,否"],
        "awards": ["企业名称,奖项类别,奖项等级,成果或项目,参建角色", "甲,工法,国家级,桥,", "甲,工法,国家级,桥,", "甲,工法,省级,桥,",
                   "甲,工法,国家级,,", "乙,工法,国家级,桥,", "乙,工法,省级,路,", "丙,工法,,桥,", "丙,工法,国家级,桥,"],
        "payments": ["企业名称,事项类别,成果或项目,年度,已付金额(元)", "甲,工法,桥,2019,1000", "甲,工法,桥,2019,500",
                     "乙,工法,,2019,1000", "丙,优质工程,桥,2019,1"],
    }  # fmt: skip
    paths = []
    for name, lines in files.items():
        paths.append(tmp_path / f"{name}.csv")
        paths[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert compare(pack, paths, tmp_path, engine) == "ended well"
    rows = [(row[2], row[3], row[4], row[5]) for row in by_batch((tmp_path / "disk.csv").read_bytes())]
    assert rows == [
        (2, "eligible", "298500.00", None), (3, "eligible", "0.00", 2), (4, "eligible", "0.00", 2),
        (5, "undetermined", "", None), (6, "undetermined", "", None), (7, "undetermined", "", None),
        (8, "undetermined", "", None), (9, "eligible", "", None)]  # fmt: skip


def test_rows_for_one_subject_are_the_same_as_they_were_given(pack: Pack, tmp_path: Path) -> None:
    """A cell that cannot be read is not a blank one, and what is worked out is not what was given."""
    firms, payments, departments = (tmp_path / f"{name}.csv" for name in ("firms", "payments", "departments"))
    firms.write_text("企业名称,在本州注册,总部迁驻楚雄\n甲,？？,否\n甲,,否\n乙,,否\n乙,,否\n丙,是,否\n", encoding="utf-8")
    payments.write_text("企业名称,事项类别,已付金额(元)\n甲,工法,1\n乙,工法,1\n丙,工法,1\n", encoding="utf-8")
    departments.write_text("部门,有无任务,任务数(万元),实际争取(万元)\n甲,,10,9\n甲,是,10,9\n乙,是,10,9\n乙,是,10,9\n",
                           encoding="utf-8")
    for paths, codes in (([firms, payments], ["conflicting-subject", "duplicate-subject", "subject-rejected"]),
                         ([departments], ["conflicting-subject", "conflicting-subject", "duplicate-subject"])):
        assert compare(pack, paths, tmp_path, DuckDbEngine) == "ended well"
        found = run(pack, paths, tmp_path / "out.csv", DuckDbEngine)
        assert not isinstance(found, str)
        assert [code for code, _, _ in told(found[1].problems) if "subject" in code] == codes


def test_two_sides_of_a_sum(tmp_path: Path) -> None:
    """A sum over rows of the same record, an own field as its key, and a field where there are several rows."""
    tables = DuckDbPieces(tmp_path)
    rows = {N: [1, 2, 3, 4], CASE: [0, 0, 0, 1], "k": ["a", "a", None, "a"], "v": [1, 2, 4, None]}
    tables.append("rows_r", pl.DataFrame(rows))
    tables.finish("rows_r")
    queries = Relations({"r": ["k", "v"]}, lambda record, name, value: value)  # type: ignore[arg-type,return-value]
    same = (("k", FromField("r", "k")),)
    found = tables.whole(queries.brought("r", {
        "sum": FromSum("r", "v", same), "any": FromAny("r", same), "all": FromSum("r", "v", ()),
        "a": FromSum("r", "v", (("k", "a"),)), "other": FromAny("r", (("k", "b"),)),
        "one": FromField("r", "v"), "no": FromSum("s", "v", ()), "none": FromAny("s", ())}, [N])).sort(N)
    tables.close()
    assert found.rows() == [
        (1, None, True, 7, None, None, None, 0, False), (2, None, True, 7, None, None, None, 0, False),
        (3, None, None, 7, None, None, None, 0, False), (4, None, True, None, None, False, None, 0, False)]  # fmt: skip


# Files


def test_other_formats_say_the_same(pack: Pack, tmp_path: Path) -> None:
    paths = random_submission("construction_firms", 4, tmp_path, 60)
    wanted = run(pack, paths, tmp_path / "out.csv", DuckDbEngine)
    assert not isinstance(wanted, str)
    others = []
    for path in paths:
        table = pl.DataFrame(list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())))
        others.append(path.with_suffix(".jsonl" if path.stem == "award" else ".parquet"))
        (table.write_ndjson if path.stem == "award" else table.write_parquet)(others[-1])
    for engine in (DuckDbEngine, PolarsEngine):
        found = run(pack, others, tmp_path / "other.csv", engine)
        assert not isinstance(found, str)
        assert [(*row[:2], *row[3:5]) for row in by_batch(found[0])] == [(*row[:2], *row[3:5]) for row in by_batch(wanted[0])]
        assert account(found[1]) == account(wanted[1])


def test_a_run_that_fails_leaves_nothing_behind(pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = random_submission("construction_firms", 4, tmp_path, 60)
    (tmp_path / "out.csv").write_text("earlier", encoding="utf-8")
    monkeypatch.setattr(facts.batch_cases.CaseStream, "_settle", lambda *_: 1 / 0)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ZeroDivisionError):
        run(pack, paths, tmp_path / "out.csv", DuckDbEngine)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "earlier"


def test_files_that_are_no_tables_go_through_memory(pack: Pack, tmp_path: Path) -> None:
    paths = random_submission("construction_firms", 4, tmp_path, 60)
    (tmp_path / "other.csv").write_text("甲,乙\n1,2\n", encoding="utf-8")
    assert recognise_files(paths, Batch(pack, Options()).targets) is not None
    assert recognise_files([*paths, tmp_path / "other.csv"], Batch(pack, Options()).targets) is None
    found = run(pack, [*paths, tmp_path / "other.csv"], tmp_path / "out.csv", DuckDbEngine)
    assert not isinstance(found, str)
    assert "sheet-unrecognised" in {problem.code for problem in found[1].problems}


def test_the_command_takes_a_memory_limit(tmp_path: Path) -> None:
    paths = random_submission("construction_firms", 4, tmp_path, 60)
    outputs = []
    for name, more in (("a", ()), ("b", ("--engine", "duckdb", "--memory-limit", "200MB")), ("c", ("--memory-limit", "1GB"))):
        result = CliRunner().invoke(command, [*map(str, paths), "--together", "-o", str(tmp_path / f"{name}.csv"), "--as-of",
                                              "2019-12-31", *more], obj={"lang": "zh", "pack": "chuxiong_2019"})
        assert result.exit_code == 2, result.output
        outputs.append(((tmp_path / f"{name}.csv").read_bytes(), (tmp_path / f"{name}.problems.csv").read_bytes()))
    assert outputs[0] == outputs[1] == outputs[2]


def test_too_little_memory_is_said(pack: Pack, tmp_path: Path) -> None:
    paths = random_submission("construction_firms", 4, tmp_path, 60)
    assert run(pack, paths, tmp_path / "out.csv", lambda: DuckDbEngine("1MB")) == "memory-limit-too-small"


def test_outcomes_across_records_are_refused(pack: Pack, tmp_path: Path) -> None:
    """They go case by case, and a batch says so under every engine."""
    paths = random_submission("construction_firms", 4, tmp_path, 60)
    dossier = pack.dossiers["construction_firms"]
    first, second = dossier.matters[:2]
    crossed = replace(second, inputs={**second.inputs, "year": FromOutcome(first.provision, "amount")})
    dossiers = {**pack.dossiers, dossier.id: replace(dossier, matters=(first, crossed))}
    changed = copy.copy(pack)
    changed._dossiers = dossiers
    for engine in (PolarsEngine, DuckDbEngine):
        assert run(changed, paths, tmp_path / "out.csv", engine) == "one-case-at-a-time"


@pytest.mark.long
@pytest.mark.parametrize("name", ["construction_firms", "industrial_firms", "applicants"])
def test_spark_says_the_same(name: str, tmp_path: Path) -> None:
    paths = random_submission(name, 4, tmp_path, 1000)
    assert compare(PACKS[DOSSIERS[name]], paths, tmp_path, spark) == "ended well"
