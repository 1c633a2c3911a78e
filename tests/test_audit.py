"""Run records: kept whole or not at all, every change found and named, every run repeatable."""

from __future__ import annotations

import contextlib
import glob
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import needs
from cli import Group
from commands.audit import audit_group, keep_check, replay_command
from engine import Pack, load_pack
from engine.audit import AuditLog, RunRecord, batch_record, canonical, chain_hash, digest_of, record_of
from engine.audit_data import from_plain, submission_data, submission_from, to_plain
from engine.audit_replay import replay
from engine.audit_store import AuditError, hidden
from engine.checking import Checked, check_submission
from facts.reading import Submission, read_facts
from packs import write_pack

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "rules" / "chuxiong_2019" / "examples"
DAY = date(2019, 12, 31)

GRANT = """
- id: tiny.grant
  kind: entitlement
  label: {zh: 奖励, en: grant}
  plan: 1
  at: 一
  summary: {zh: 概括, en: summary}
  facts:
  - turnover: {type: money, zh: 营业额, max: 100亿元}
  - started: {type: date, zh: 开工}
  - share: {type: percent, zh: 占比, max: 100%}
  require: [turnover >= 100万元, started <= 2019-06-30]
  amount: turnover * share
"""
FACTS = """
- {provision: tiny.grant, case: 甲, inputs: {turnover: 200万元, started: 2019-01-01, share: 33.3333%}}
- {provision: tiny.grant, case: 乙, inputs: {turnover: 99万元, started: 2019-01-01, share: 1%}}
- {provision: tiny.grant, case: 丙, inputs: {turnover: 200万元, started: null, share: 1%}}
"""


def run_of(**changes: Any) -> RunRecord:
    """A record that needs no pack; `text` makes its content as large as wanted."""
    text = changes.pop("text", "")
    head = {
        "form": 1, "kind": "check", "at": "2019-12-31T00:00:00+00:00", "engine": {"version": "1", "digest": "e"},
        "pack": {"id": "tiny", "version": "1", "digest": "p"}, "as_of": "2019-12-31", "readings": {}, "options": {},
        "inputs": [], "kept": [], "counts": {}, **changes,
    }  # fmt: skip
    return RunRecord(head, {"facts": {"cases": [], "flat": [], "tables": []}, "text": text})


def checked(pack: Pack, files: list[Path]) -> tuple[Submission, Checked]:
    submission = read_facts(files, dossiers=pack.dossiers, provision=pack.find)
    return submission, check_submission(pack, submission, DAY, "reference")


def recorded(pack: Pack, files: list[Path]) -> RunRecord:
    submission, found = checked(pack, files)
    return record_of(pack, submission, found, DAY, None, files=files)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    (tmp_path / "facts.yaml").write_text(FACTS, encoding="utf-8")
    return write_pack(tmp_path / "pack", GRANT)


# A PostgreSQL server of our own


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server in a folder of its own, reached by a socket there; nothing listens on the network."""
    pytest.importorskip("sqlalchemy", reason="the extra `audit` is not installed")
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not programs and not shutil.which("initdb"):
        needs.lacking("no PostgreSQL server here: apt-get install postgresql")
    where = Path(programs[-1]) if programs else Path(str(shutil.which("initdb"))).parent
    folder = Path(tempfile.mkdtemp(prefix="hegui-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        data = folder / "data"
        run: dict[str, Any] = {"check": True, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        if os.geteuid() == 0:  # the server refuses to run as root; all of it belongs to the account its package made
            run |= {"user": "postgres", "group": "postgres", "extra_groups": []}
        subprocess.run([f"{where}/initdb", "-D", f"{data}", "-U", "postgres", "-A", "trust", "-E", "UTF8",
                        "--locale=C.UTF-8"], **run)  # fmt: skip
        control = [f"{where}/pg_ctl", "-D", f"{data}", "-w", "-l", f"{folder}/log"]
        options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
        subprocess.run([*control, "-o", options, "start"], **run)
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/audit.sqlite"
    server: str = request.getfixturevalue("postgres")
    import sqlalchemy as sql

    name = f"t{random.randrange(10**9)}"
    engine = sql.create_engine(server.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sql.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")


@contextlib.contextmanager
def database(url: str) -> Iterator[Callable[[str], Any]]:
    """Plain SQL beside the log, as somebody with the password of the database has it."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        yield lambda text: connection.execute(text).fetchall()
        connection.close()
        return
    import sqlalchemy as sql

    engine = sql.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as opened:

        def execute(text: str) -> Any:
            found = opened.execute(sql.text(text))
            return found.fetchall() if found.returns_rows else None

        yield execute
    engine.dispose()


def unguarded(url: str, *statements: str) -> None:
    """The statements with every trigger taken away first, and put back after."""
    with database(url) as execute:
        if url.startswith("sqlite"):
            triggers = execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            for name, _ in triggers:
                execute(f"DROP TRIGGER {name}")
            for statement in statements:
                execute(statement)
            for _, text in triggers:
                execute(text)
            return
        for table in ("audit_runs", "audit_heads", "audit_files"):
            execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in statements:
            execute(statement)
        for table in ("audit_runs", "audit_heads", "audit_files"):
            execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def codes(log: AuditLog, *heads: tuple[int, str]) -> list[tuple[str, int | None]]:
    findings = log.verify(heads)
    for finding in findings:
        assert finding.problem.render("zh")
        assert finding.problem.render("en")
    return [(finding.problem.code, finding.number) for finding in findings]


# Keeping


def test_records_are_numbered_and_chained(url: str) -> None:
    with AuditLog(url) as log:
        assert [log.append(run_of(counts={"n": n})) for n in range(3)] == [1, 2, 3]
        assert [item.run.head["counts"] for item in log.runs()] == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert log.verify() == []
    with AuditLog(url, create=False) as again:
        assert again.append(run_of()) == 4
        assert again.verify() == []


def test_the_hash_is_what_the_documentation_says(tmp_path: Path) -> None:
    with AuditLog(tmp_path / "a.sqlite") as log:
        first, second = log.add(run_of()), log.add(run_of())
    head = canonical({**run_of().head, "content": digest_of(canonical(run_of().content))})
    assert first.hash == chain_hash(1, "0" * 64, head) == digest_of(f"1\n{'0' * 64}\n{head}")
    assert second.hash == digest_of(f"2\n{first.hash}\n{head}")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.dates(), st.text(), st.fractions().filter(lambda f: f.denominator > 1)
)


@given(VALUES)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    import json

    found = from_plain(json.loads(canonical(to_plain(value))))
    assert (found, type(found)) == (value, type(value))


def test_facts_come_back_as_they_were(tiny: Path, tmp_path: Path) -> None:
    submission, _ = checked(load_pack(tiny), [tmp_path / "facts.yaml"])
    assert submission_data(submission_from(submission_data(submission))) == submission_data(submission)


def test_a_run_keeps_its_facts_its_files_and_its_pack(tiny: Path, tmp_path: Path) -> None:
    pack = load_pack(tiny)
    with AuditLog(tmp_path / "a.sqlite") as log:
        number = log.append(recorded(pack, [tmp_path / "facts.yaml"]))
        log.append(recorded(pack, [tmp_path / "facts.yaml"]))
        run = log.run(number).run
        assert run.pack == {"id": "tiny", "version": "1", "digest": pack.digest}
        assert run.as_of == DAY
        (item,) = run.inputs
        assert log.kept(item.digest) == FACTS.encode()
        assert log.kept(f"pack:{pack.digest}") is not None
        assert len(list(log.store.files())) == 2  # kept once, however often they are used
        flat = run.content["outcomes"]["flat"]
        assert [one["status"] for one in flat] == ["eligible", "ineligible", "undetermined"]
        assert from_plain(flat[0]["values"]["amount"]) == 66_666_600
        assert from_plain(run.content["facts"]["flat"][0]["inputs"]["share"]) == Fraction(333_333, 1_000_000)


# Changes are refused, and found where they were forced


@pytest.mark.parametrize("table", ["audit_runs", "audit_heads", "audit_files"])
def test_the_database_refuses_changes(url: str, table: str, tiny: Path, tmp_path: Path) -> None:
    with AuditLog(url) as log:
        log.append(recorded(load_pack(tiny), [tmp_path / "facts.yaml"]))
        column = "digest" if table == "audit_files" else "hash"
        with database(url) as execute:
            statements = [f"UPDATE {table} SET {column} = 'x'", f"DELETE FROM {table}"]
            statements += [] if url.startswith("sqlite") else [f"TRUNCATE {table}"]
            if url.startswith("sqlite"):
                statements.append(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
            for statement in statements:
                with pytest.raises(Exception, match=r"never changed|never replaced|only added"):
                    execute(statement)
        assert log.verify() == []


def test_the_database_refuses_a_record_that_does_not_follow(url: str) -> None:
    with AuditLog(url) as log:
        first = log.add(run_of())
        with database(url) as execute:
            for number, previous in ((1, first.hash), (3, first.hash), (2, "0" * 64)):
                with pytest.raises(Exception, match="only added at the end"):
                    execute(f"INSERT INTO audit_runs VALUES ({number}, '{previous}', 'h', '{{}}', '{{}}')")
        assert log.verify() == []


def _rehash(log: AuditLog, number: int, head: str) -> str:
    stored = log.store.record(number)
    assert stored is not None
    return chain_hash(number, stored.previous, head)


_EMPTY = canonical({"content": digest_of("")})
TAMPERING: dict[str, tuple[Callable[[AuditLog], list[str]], list[tuple[str, int | None]]]] = {
    "an outcome": (
        lambda _: ["UPDATE audit_runs SET content = replace(content, 'run 3', 'run 0') WHERE number = 3"],
        [("audit-record-changed", 3)],
    ),
    "a head": (
        lambda _: ["UPDATE audit_runs SET head = replace(head, '2019-12-31', '2018-12-31') WHERE number = 3"],
        [("audit-record-changed", 3)],
    ),
    "a head that is no longer JSON": (
        lambda _: ["UPDATE audit_runs SET head = 'x' WHERE number = 3"],
        [("audit-record-changed", 3)],
    ),
    "a hash": (
        lambda _: ["UPDATE audit_runs SET hash = 'x' WHERE number = 3"],
        [("audit-record-changed", 3)],
    ),
    "a head and its hash": (
        lambda log: [f"UPDATE audit_runs SET head = '{{}}', hash = '{_rehash(log, 3, '{}')}' WHERE number = 3"],
        [("audit-record-changed", 3)],
    ),
    "a record, its hash and its witness": (
        lambda log: [
            (
                f"UPDATE audit_runs SET content = '', head = '{_EMPTY}', "
                f"hash = '{_rehash(log, 3, _EMPTY)}' WHERE number = 3"
            ),
            f"UPDATE audit_heads SET hash = '{_rehash(log, 3, _EMPTY)}' WHERE number = 3",
        ],
        [("audit-link-broken", 4)],
    ),
    "a record removed": (lambda _: ["DELETE FROM audit_runs WHERE number = 3"], [("audit-record-missing", 3)]),
    "the first removed": (lambda _: ["DELETE FROM audit_runs WHERE number = 1"], [("audit-record-missing", 1)]),
    "the last removed": (lambda _: ["DELETE FROM audit_runs WHERE number >= 4"], [("audit-record-missing", 4)]),
    "all removed": (lambda _: ["DELETE FROM audit_runs"], [("audit-record-missing", 1)]),
    "two exchanged": (
        lambda _: [
            "UPDATE audit_runs SET number = 99 WHERE number = 2",
            "UPDATE audit_runs SET number = 2 WHERE number = 4",
            "UPDATE audit_runs SET number = 4 WHERE number = 99",
        ],
        [("audit-record-moved", 2), ("audit-record-moved", 4)],
    ),
    "a witness removed": (lambda _: ["DELETE FROM audit_heads WHERE number = 3"], [("audit-witness-missing", 3)]),
    "a kept file": (lambda _: ["UPDATE audit_files SET data = 'x'"], [("audit-file-changed", None)]),
    "a kept file removed": (lambda _: ["DELETE FROM audit_files"], [("audit-file-missing", None)]),
}


@pytest.mark.parametrize("what", list(TAMPERING))
def test_a_change_is_found_and_named(url: str, what: str) -> None:
    make, expected = TAMPERING[what]
    with AuditLog(url) as log:
        for number in range(1, 6):
            run = run_of(text=f"run {number}", kept=[digest_of("file")])
            log.append(replace(run, files={digest_of("file"): b"file"}))
        assert codes(log) == []
        unguarded(url, *make(log))
        assert codes(log) == expected


def test_the_place_of_a_changed_record_is_printed(tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path}/a.sqlite"
    with AuditLog(where) as log:
        log.append(run_of(text="a"))
        unguarded(where, "UPDATE audit_runs SET content = '{}'")
        text = log.verify()[0].problem.render("en")
        assert f"{tmp_path}/a.sqlite: #1: audit-record-changed" in text
        with pytest.raises(AuditError, match="audit-record-changed"):
            log.run(1)


def test_a_chain_written_anew_is_found_by_a_hash_kept_elsewhere(url: str) -> None:
    """Who rewrites everything leaves a chain that is whole; only a hash from elsewhere tells."""
    with AuditLog(url) as log:
        for number in range(3):
            kept = log.add(run_of(text=str(number)))
        assert codes(log, (kept.number, kept.hash)) == []
        unguarded(url, "DELETE FROM audit_runs", "DELETE FROM audit_heads")
        for _ in range(3):
            log.append(run_of(text="forged"))
        assert codes(log) == []
        assert codes(log, (kept.number, kept.hash)) == [("audit-head-differs", 3)]


def test_a_removed_tail_is_found_by_a_hash_kept_elsewhere(url: str) -> None:
    with AuditLog(url) as log:
        log.append(run_of())
        kept = log.add(run_of())
        unguarded(url, "DELETE FROM audit_runs WHERE number = 2", "DELETE FROM audit_heads WHERE number = 2")
        assert codes(log, (kept.number, kept.hash)) == [("audit-head-differs", 2)]


def test_missing_guards_are_found(url: str) -> None:
    with AuditLog(url) as log:
        log.append(run_of())
        with database(url) as execute:
            on = "" if url.startswith("sqlite") else " ON audit_runs"
            execute(f"DROP TRIGGER audit_runs_no_delete{on}")
        assert codes(log) == [("audit-guard-missing", None)]


# Writers that die, and writers at once

WRITER = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
from test_audit import run_of
from engine.audit import AuditLog, digest_of
from dataclasses import replace
log = AuditLog({url!r})
print("ready", flush=True)
for number in range({count}):
    data = (str(number) + {name!r}) .encode() * 2000
    run = run_of(options={{"writer": {name!r}, "number": number}}, text="x" * {size}, kept=[digest_of(data)])
    print(log.append(replace(run, files={{digest_of(data): data}})), flush=True)
"""


def writer(url: str, name: str, count: int, size: int = 100_000) -> subprocess.Popen[str]:
    code = WRITER.format(root=str(ROOT), tests=str(ROOT / "tests"), url=url, name=name, count=count, size=size)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def _killed(url: str, times: int, seed: int) -> None:
    """Kill a writer again and again; what it said it had kept is there, whole, and nothing else is broken."""
    clock = random.Random(seed)
    said = 0
    for attempt in range(times):
        process = writer(url, f"writer {attempt}", 10_000)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(clock.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        numbers = [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        said = max([said, *numbers])
        with AuditLog(url) as log:
            assert log.verify() == []
            runs = [item.number for item in log.runs()]
            assert runs == list(range(1, len(runs) + 1))
            assert len(runs) >= said, "a record that was said to be kept is gone"
            assert [number for number, _ in log.store.heads()] == runs, "half a record"
    assert said > times, "the writers were killed before they wrote anything"


def test_a_writer_killed_at_any_moment_leaves_the_chain_whole(url: str) -> None:
    _killed(url, 6, seed=1)


@pytest.mark.long
def test_a_hundred_killed_writers_leave_the_chain_whole(tmp_path: Path) -> None:
    _killed(f"sqlite:///{tmp_path}/audit.sqlite", 100, seed=2)


def test_two_writers_at_once_make_one_chain(url: str) -> None:
    """They also make the tables at once: neither finds them there."""
    each = 40
    processes = [writer(url, name, each, 1000) for name in ("a", "b", "c")]
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    with AuditLog(url) as log:
        assert log.verify() == []
        runs = list(log.runs())
        assert [item.number for item in runs] == list(range(1, 3 * each + 1))
        order = [item.run.head["options"]["writer"] for item in runs]
        assert {name: order.count(name) for name in "abc"} == dict.fromkeys("abc", each)
        for name in "abc":  # and each writer's own come in its own order
            own = [item.run.head["options"]["number"] for item in runs if item.run.head["options"]["writer"] == name]
            assert own == list(range(each))


def test_two_logs_in_one_process_take_turns(url: str) -> None:
    with AuditLog(url) as one, AuditLog(url) as other:
        assert [log.append(run_of()) for log in (one, other, one, other)] == [1, 2, 3, 4]
        assert one.verify() == other.verify() == []


# Repeating a run


@pytest.mark.parametrize("name", ["departments", "construction_firms", "fund_documents"])
def test_an_example_repeated_comes_out_the_same(name: str, tmp_path: Path) -> None:
    pack = load_pack()
    files = [EXAMPLES / f"{name}.xlsx"]
    with AuditLog(tmp_path / "a.sqlite") as log:
        number = log.append(recorded(pack, files))
        report = replay(log, number, read=_read)
    assert report.same
    assert report.facts_read_again
    assert report.compared > 100
    assert not report.pack_changed
    assert not report.engine_changed


def _read(pack: Pack, paths: Any, run: RunRecord) -> Submission:
    return read_facts(paths, dossiers=pack.dossiers, provision=pack.find)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    with AuditLog(tmp_path / "a.sqlite") as found:
        yield found


def test_a_changed_pack_is_named_with_each_result_it_changes(log: AuditLog, tiny: Path, tmp_path: Path) -> None:
    number = log.append(recorded(load_pack(tiny), [tmp_path / "facts.yaml"]))
    write_pack(tiny, GRANT.replace("100万元", "90万元"))
    report = replay(log, number, lambda _: load_pack(tiny))
    assert report.pack_changed
    found = {(item.about, item.what): (item.was, item.now, item.cause) for item in report.differences}
    assert found == {
        ("tiny.grant: 乙", "status"): ("ineligible", "eligible", "pack"),
        ("tiny.grant: 乙", "amount"): (0, 990_000, "pack"),
    }


def test_a_changed_pack_that_changes_no_result_is_said(log: AuditLog, tiny: Path, tmp_path: Path) -> None:
    number = log.append(recorded(load_pack(tiny), [tmp_path / "facts.yaml"]))
    write_pack(tiny, GRANT.replace("奖励", "奖金"))
    report = replay(log, number, lambda _: load_pack(tiny))
    assert report.same
    assert report.pack_changed


def _as_recorded_by(run: RunRecord, version: str, **values: Any) -> RunRecord:
    """The record as another program would have left it, with the first outcome's values changed."""
    first, *rest = run.content["outcomes"]["flat"]
    first = {**first, "values": {**first["values"], **values}}
    outcomes = {**run.content["outcomes"], "flat": [first, *rest]}
    engine = {"version": version, "digest": version} if version else run.engine
    return replace(run, head={**run.head, "engine": engine}, content={**run.content, "outcomes": outcomes})


def test_a_changed_program_is_told_from_a_changed_pack(log: AuditLog, tiny: Path, tmp_path: Path) -> None:
    run = _as_recorded_by(recorded(load_pack(tiny), [tmp_path / "facts.yaml"]), "0.0.1", amount=66_666_599)
    number = log.append(run)
    write_pack(tiny, GRANT.replace("100万元", "90万元"))
    report = replay(log, number, lambda _: load_pack(tiny))
    assert report.engine_changed
    assert {(item.about[-1], item.what): item.cause for item in report.differences} == {
        ("甲", "amount"): "engine",
        ("乙", "status"): "pack",
        ("乙", "amount"): "pack",
    }


def test_a_difference_with_nothing_changed_is_not_explained_away(log: AuditLog, tiny: Path, tmp_path: Path) -> None:
    run = _as_recorded_by(recorded(load_pack(tiny), [tmp_path / "facts.yaml"]), "", amount=1)
    report = replay(log, log.append(run), lambda _: load_pack(tiny))
    assert [(item.what, item.was, item.now, item.cause) for item in report.differences] == [
        ("amount", 1, 66_666_600, "unexplained")
    ]


def test_a_provision_that_is_gone_is_a_difference(log: AuditLog, tiny: Path, tmp_path: Path) -> None:
    number = log.append(recorded(load_pack(tiny), [tmp_path / "facts.yaml"]))
    write_pack(tiny, GRANT.replace("tiny.grant", "tiny.other"))
    report = replay(log, number, lambda _: load_pack(tiny))
    assert {item.now for item in report.differences if item.what == "status"} == {"(unknown-provision)"}


def test_facts_that_would_be_read_otherwise_are_found(log: AuditLog, tiny: Path, tmp_path: Path) -> None:
    run = recorded(load_pack(tiny), [tmp_path / "facts.yaml"])
    facts = {**run.content["facts"], "flat": run.content["facts"]["flat"][:2]}
    number = log.append(replace(run, content={**run.content, "facts": facts}))
    report = replay(log, number, lambda _: load_pack(tiny), _read)
    first = report.differences[0]
    assert (first.about, first.what, first.cause) == ("flat 3", "facts", "reader")


def test_another_pack_is_refused(log: AuditLog, tiny: Path, tmp_path: Path) -> None:
    number = log.append(recorded(load_pack(tiny), [tmp_path / "facts.yaml"]))
    with pytest.raises(AuditError, match="replay-other-pack"):
        replay(log, number, lambda _: load_pack())
    with pytest.raises(AuditError, match="audit-no-such-run"):
        replay(log, 9)


def test_a_batch_is_repeated_from_its_files(log: AuditLog, tiny: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("a\n1\n", encoding="utf-8")
    out.write_text("A\n1\n", encoding="utf-8")
    pack = load_pack(tiny)
    number = log.append(batch_record(pack, [source], [out], DAY, counts={"rows": 1}))
    source.unlink()  # its bytes were kept

    def upper(_: Pack, paths: Any, folder: Path, run: RunRecord) -> list[Path]:
        target = folder / "out.csv"
        target.write_text(paths[0].read_text(encoding="utf-8").upper(), encoding="utf-8")
        return [target]

    def nothing(_: Pack, paths: Any, folder: Path, run: RunRecord) -> list[Path]:
        (folder / "x").touch()
        return [folder / "x"]

    assert replay(log, number, lambda _: pack, run_again=upper).same
    report = replay(log, number, lambda _: pack, run_again=nothing)
    assert [(item.about, item.cause) for item in report.differences] == [(str(out), "unexplained")]
    with pytest.raises(AuditError, match="replay-not-possible"):
        replay(log, number, lambda _: pack)


# Commands


def hegui(*arguments: str, lang: str = "zh") -> Result:
    group = Group("hegui", commands={"audit": audit_group, "replay": replay_command})
    return CliRunner().invoke(group, list(arguments), obj={"lang": lang, "pack": "chuxiong_2019"})


def test_the_commands_list_show_verify_and_replay(tmp_path: Path) -> None:
    where = str(tmp_path / "a.sqlite")
    pack = load_pack()
    files = [EXAMPLES / "departments.xlsx"]
    submission, found = checked(pack, files)

    @click.command()
    def keep() -> None:
        keep_check(pack, submission, found, DAY, None, files=files, options={"record": None}, keep=False, url=where,
                   lang="en")  # fmt: skip

    printed = CliRunner().invoke(keep).stderr
    assert printed.startswith("kept as run record 1:")
    head = printed.split()[4]
    listed = hegui("audit", "list", "--audit", where)
    assert listed.exit_code == 0
    assert "departments.xlsx" in listed.output
    assert '"status": "triggered"' in hegui("audit", "show", "1", "--audit", where).output
    verified = hegui("audit", "verify", "--audit", where, "--head", head)
    assert verified.exit_code == 0
    assert "1 条记录完好" in verified.output
    replayed = hegui("replay", "1", "--audit", where)
    assert replayed.exit_code == 0
    assert "全部一致，文件重读无异" in replayed.output
    assert '"same": true' in hegui("replay", "1", "--audit", where, "--format", "json").output
    assert hegui("replay", head, "--audit", where).output == replayed.output
    assert hegui("audit", "show", head[:14].upper(), "--audit", where).exit_code == 0
    for command in (["replay"], ["audit", "show"]):
        other = hegui(*command, "1:0000", "--audit", where)
        assert (other.exit_code, "#1: audit-head-differs" in other.stderr) == (2, True)
        assert "NUMBER:HASH" in hegui(*command, "1:", "--audit", where).stderr
    unguarded(f"sqlite:///{where}", "UPDATE audit_runs SET content = replace(content, 'triggered', 'not_triggered')")
    altered = hegui("audit", "verify", "--audit", where, lang="en")
    assert altered.exit_code == 1
    assert "#1: audit-record-changed" in altered.output
    assert hegui("replay", "1", "--audit", where).exit_code == 2


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    for arguments in (["list"], ["verify"], ["show", "1"]):
        found = hegui("audit", *arguments, "--audit", str(tmp_path / "none.sqlite"))
        assert found.exit_code == 2
        assert "audit-missing" in found.stderr
    assert not (tmp_path / "none.sqlite").exists()
    (tmp_path / "text").write_text("not a database" * 100, encoding="utf-8")
    found = hegui("audit", "list", "--audit", str(tmp_path / "text"))
    assert found.exit_code == 2
    assert "audit-database" in found.stderr
    found = hegui("audit", "list", "--audit", "mysql://root:secret@host/x")
    assert found.exit_code == 2
    assert "secret" not in found.stderr
    found = hegui("audit", "list", "--audit", "postgresql://root:secret@host:port/x")
    assert found.exit_code == 2
    assert "audit-database" in found.stderr
    assert "secret" not in found.stderr


def test_an_emptied_file_or_another_database_is_not_an_intact_log(tmp_path: Path) -> None:
    emptied, other = tmp_path / "emptied.sqlite", tmp_path / "other.sqlite"
    emptied.touch()
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    connection.close()
    for path in (emptied, other):
        before = path.read_bytes()
        found = hegui("audit", "verify", "--audit", str(path))
        assert found.exit_code == 2
        assert "audit-missing" in found.stderr
        assert path.read_bytes() == before


def test_a_run_that_is_not_there_is_told_from_one_that_was_removed(tmp_path: Path) -> None:
    where = str(tmp_path / "a.sqlite")
    with AuditLog(where) as log:
        log.add(run_of())
    for number in ("2", "0", "9" * 25):
        for command in (["audit", "show"], ["replay"]):
            found = hegui(*command, number, "--audit", where)
            assert found.exit_code == 2
            assert "audit-no-such-run" in found.stderr
    unguarded(f"sqlite:///{where}", "DELETE FROM audit_runs")
    assert "audit-record-missing" in hegui("audit", "show", "1", "--audit", where).stderr


def test_a_password_is_never_shown() -> None:
    assert hidden("postgresql://user:p@ss@host/db") == "postgresql://user@host/db"
    assert hidden("/a/b@c.sqlite") == "/a/b@c.sqlite"
