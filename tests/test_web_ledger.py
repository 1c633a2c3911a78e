"""A ledger of duties done: handed in on the page, each duty of the month told on time, late or overdue."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook
from starlette.testclient import TestClient

from engine import load_pack
from engine.duties import Entry, list_duties
from engine.kinds import LABELS
from engine.schedule import ledger_facts, load_schedule
from facts.from_ledger import read_ledger
from web.ledger_batch import _written, entries_of
from web_helpers import EXAMPLES, client_of, csrf_of, finished, settings_in

LEDGER = EXAMPLES / "duty_ledger.xlsx"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(settings_in(tmp_path)) as found:
        yield found


def hand_in(client: TestClient, name: str, data: bytes, **query: str) -> str:
    answer = client.post("/batch/upload", params={"filename": name, "day": "2019-12-31", **query}, content=data,
                         headers={"x-csrf-token": csrf_of(client)})  # fmt: skip
    location = str(answer.json()["location"])
    assert finished(client, f"{location}/state")["state"] == "done"
    return location


def expected(first: date, last: date, day: date) -> Counter[str]:
    """What `hegui due` says of the example ledger."""
    pack = load_pack().load_all()
    entries, _ = read_ledger([LEDGER], ledger_facts(pack))
    return Counter(line.status for line in list_duties(pack, load_schedule(pack), first, last, day, entries).lines)


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page))


@pytest.mark.parametrize("query", [{"record": "ledger"}, {}])  # said to be one, and recognised
def test_the_month_shows_what_became_of_each_duty(client: TestClient, query: dict[str, str]) -> None:
    location = hand_in(client, LEDGER.name, LEDGER.read_bytes(), **query)
    page = client.get("/overview", params={"month": "2019-05", "day": "2019-12-31", "lang": "zh"}).text
    counts = expected(date(2019, 5, 1), date(2019, 5, 31), date(2019, 12, 31))
    assert len(counts) > 1
    for status, number in counts.items():
        assert f">{LABELS[status].zh} {number}</span>" in page
    without = client.get("/overview", params={"month": "2019-05", "ledger": "none", "lang": "zh"}).text
    assert "按台账" not in text_of(without)
    year = expected(date(2019, 1, 1), date(2019, 12, 31), date(2019, 12, 31))
    rows = client.get(location, params={"lang": "zh"})
    assert rows.status_code == 200
    assert f"共 {year.total()} 行" in rows.text
    assert client.get(location, params={"view": "columns"}).status_code == 200


def test_a_faulty_line_is_pointed_out_in_its_cell(client: TestClient, tmp_path: Path) -> None:
    book = load_workbook(LEDGER)
    sheet = book.active
    assert sheet is not None
    sheet["E3"] = "四月中旬"
    path = tmp_path / "ledger.xlsx"
    book.save(path)
    location = hand_in(client, "ledger.xlsx", path.read_bytes(), record="ledger")
    page = client.get(location, params={"view": "problems", "lang": "zh"}).text
    assert "四月中旬" in page
    assert "E3" in page


def test_what_is_no_ledger_says_so(client: TestClient, tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["甲", "乙"])  # type: ignore[union-attr]
    book.save(tmp_path / "x.xlsx")
    location = hand_in(client, "x.xlsx", (tmp_path / "x.xlsx").read_bytes(), record="ledger")
    assert "没有可以核算的行" in client.get(location, params={"lang": "zh"}).text
    assert client.get("/overview").status_code == 200


def test_the_template_of_a_ledger_reads_back(client: TestClient, tmp_path: Path) -> None:
    answer = client.get("/api/v1/templates/ledger")
    assert answer.status_code == 200
    (tmp_path / "t.xlsx").write_bytes(answer.content)
    entries, submission = read_ledger([tmp_path / "t.xlsx"])
    assert entries == []
    assert [table.record for table in submission.tables if table.record] == ["ledger"]


def test_the_lines_survive_being_kept() -> None:
    entries, _ = read_ledger([LEDGER])
    kept = entries_of([_written(entry) for entry in entries], LEDGER.name)
    bare = [Entry(**{name: getattr(entry, name) for name in Entry.__slots__ if name not in ("at", "facts")}) for entry in entries]
    assert [Entry(**{name: getattr(entry, name) for name in Entry.__slots__ if name not in ("at", "facts")}) for entry in kept] == bare
    assert [entry.at.cell for entry in kept] == [entry.at.cell for entry in entries]
