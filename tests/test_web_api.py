"""The JSON API: what it answers, and that its errors name what is wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from engine import load_pack
from engine.checking import check_submission
from engine.output import csv_text
from engine.report import dossier_table
from facts.reading import read_facts
from web.worker import LARGE_FROM
from web_helpers import CUT, EXAMPLES, FACTS, client_of, finished, settings_in


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client_of(settings_in(tmp_path_factory.mktemp("api"))) as found:
        yield found


def test_a_case_is_evaluated_as_by_the_python_interface(client: TestClient) -> None:
    answer = client.post(f"/api/v1/provisions/{CUT}/evaluate", json={"inputs": FACTS, "as_of": "2019-12-31"})
    assert answer.status_code == 200
    expected = load_pack().evaluate(CUT, FACTS, as_of="2019-12-31").to_dict()
    assert answer.json()["outcome"] == json.loads(json.dumps(expected))
    assert answer.json()["outcome"]["amount"] == "200000.00"
    assert "200,000.00元" in answer.json()["explanation"]["zh"][0]


def test_another_reading_can_be_chosen(client: TestClient) -> None:
    facts = FACTS | {"raised_amount": "900万元"}
    amounts = [
        client.post(f"/api/v1/provisions/{CUT}/evaluate", json={"inputs": facts, "readings": readings}).json()["outcome"]["amount"]
        for readings in ({}, {"1": 2})
    ]  # fmt: skip
    assert amounts == ["100000.00", "160000.00"]


def test_problem_details_name_every_field_at_fault(client: TestClient) -> None:
    answer = client.post(f"/api/v1/provisions/{CUT}/evaluate",
                         json={"inputs": {"task_amount": "1,2OO", "raised": 1, "has_task": "maybe"}})  # fmt: skip
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert {error["pointer"] for error in told["errors"]} == {
        "/inputs/task_amount",
        "/inputs/raised",
        "/inputs/has_task",
    }
    assert told["type"].endswith("#invalid-facts")
    assert all(error["zh"] and error["en"] for error in told["errors"])


@pytest.mark.parametrize(("body", "pointer"), [
    ({"inputs": FACTS, "as_of": "31.12.2019"}, "/as_of"),
    ({"inputs": FACTS, "extra": 1}, "/extra"),
    ({"inputs": {"has_task": []}}, "/inputs/has_task"),
])  # fmt: skip
def test_a_malformed_request_points_at_its_member(client: TestClient, body: dict[str, Any], pointer: str) -> None:
    answer = client.post(f"/api/v1/provisions/{CUT}/evaluate", json=body)
    assert answer.status_code == 422
    assert any(error["pointer"].startswith(pointer) for error in answer.json()["errors"])


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/api/v1/provisions/no.such", 404), ("GET", "/api/v1/nothing", 404), ("PATCH", "/api/v1/provisions", 405),
    ("GET", "/api/v1/batches/unknown", 404), ("GET", "/api/v1/dossiers/unknown/schema", 404),
])  # fmt: skip
def test_every_error_is_a_problem_document(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_provisions_are_listed_filtered_and_shown(client: TestClient) -> None:
    everything = client.get("/api/v1/provisions").json()
    assert len(everything["provisions"]) == len(load_pack().ids)
    found = client.get("/api/v1/provisions", params={"q": "公用经费", "kind": "sanction"}).json()["provisions"]
    assert CUT in [entry["id"] for entry in found]
    assert {entry["kind"] for entry in found} == {"sanction"}
    shown = client.get(f"/api/v1/provisions/{CUT}").json()
    assert shown["tables"][0]["rows"][0] == ["< 85%", "10%"]
    schema = client.get(f"/api/v1/provisions/{CUT}/schema").json()
    assert set(schema["properties"]) == set(FACTS)


def test_a_dossier_case_excludes_the_lower_award(client: TestClient) -> None:
    award = {"family": "quality", "matter": "大剧院", "role": "builder"}
    case = {"firm": {"firm_name": "甲公司", "registered_in_prefecture": True, "head_office_moved": "否"},
            "award": [award | {"level": "luban_or_national_quality"}, award | {"level": "yunnan_quality"}],
            "as_of": "2019-12-31"}  # fmt: skip
    told = client.post("/api/v1/dossiers/construction_firms/evaluate", json=case).json()
    assert told["total"] == "500000.00"
    assert [item["counted"] for item in told["items"]] == ["500000.00", "0.00"]


def test_a_faulty_dossier_case_points_into_its_rows(client: TestClient) -> None:
    case = {"firm": {"firm_name": "甲"}, "award": [{"family": "quality"}, {"levle": "x"}], "awards": []}
    answer = client.post("/api/v1/dossiers/construction_firms/evaluate", json=case)
    assert answer.status_code == 422
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert any("award.1" in pointer for pointer in pointers)
    assert any(pointer.endswith("awards") for pointer in pointers)


@pytest.mark.parametrize("name", ["departments", "construction_firms", "fund_documents"])
def test_a_batch_equals_check_row_by_row(client: TestClient, name: str) -> None:
    source = EXAMPLES / f"{name}.xlsx"
    answer = client.post("/api/v1/batches", params={"filename": source.name, "as_of": "2019-12-31"},
                         content=source.read_bytes())  # fmt: skip
    assert answer.status_code == 202
    location = answer.headers["location"]
    assert finished(client, location)["state"] == "done"
    pack = load_pack()
    submission = read_facts([source], dossiers=pack.dossiers)
    checked = check_submission(pack, submission, date(2019, 12, 31), "reference")
    expected = list(
        csv.reader(io.StringIO(csv_text([dossier_table(pack, pack.dossiers[name], checked.dossiers[name], "zh")])))
    )
    rows = client.get(f"{location}/rows", params={"limit": 1000}).json()
    assert rows["headers"] == expected[0]
    assert [row["cells"] for row in rows["rows"]] == expected[1:]
    downloaded = client.get(f"{location}/files/results.csv").content.decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(downloaded))) == expected
    assert client.get(f"{location}/files/results.xlsx").content[:2] == b"PK"
    assert client.delete(location).status_code == 204
    assert client.get(location).status_code == 404


def test_a_table_of_targets_is_judged_for_the_period_of_its_name(client: TestClient) -> None:
    source = EXAMPLES / "targets_2019Q1.xlsx"
    location = client.post("/api/v1/batches", params={"filename": source.name}, content=source.read_bytes()).headers[
        "location"
    ]
    assert finished(client, location)["state"] == "done"
    targets = client.get(f"{location}/summary").json()["targets"]
    assert {target["status"] for target in targets} == {"met", "missed"}


def test_a_heading_mapped_by_hand_is_used(client: TestClient, tmp_path: Path) -> None:
    text = "部门,今年目标（万元）,实际争取（万元）,下年度公用经费（万元）\n财政局,1000,900,200\n"
    location = client.post("/api/v1/batches", params={"filename": "d.csv", "as_of": "2019-12-31"},
                           content=text.encode()).headers["location"]  # fmt: skip
    finished(client, location)
    columns = client.get(f"{location}/summary").json()["tables"][0]["columns"]
    assert columns[1]["field"] is None
    answer = client.put(
        f"{location}/mapping", json={"columns": {"departments.department": {"今年目标（万元）": "task_amount"}}}
    )
    assert answer.status_code == 202
    assert finished(client, location)["state"] == "done"
    assert client.get(f"{location}/summary").json()["tables"][0]["columns"][1]["field"] == "task_amount"
    rows = client.get(f"{location}/rows").json()
    assert "100000.00" in rows["rows"][0]["cells"]


def test_a_column_left_out_by_hand_is_not_read(client: TestClient) -> None:
    text = "部门,争取资金任务（万元）,实际争取（万元）,下年度公用经费（万元）\n财政局,1000,900,200\n"
    location = client.post("/api/v1/batches", params={"filename": "d.csv", "as_of": "2019-12-31"},
                           content=text.encode()).headers["location"]  # fmt: skip
    finished(client, location)
    client.put(f"{location}/mapping", json={"columns": {"departments.department": {"实际争取（万元）": ""}}})
    finished(client, location)
    columns = client.get(f"{location}/summary").json()["tables"][0]["columns"]
    assert [column["field"] for column in columns] == ["department_name", "task_amount", None, "next_year_public_funds"]


def test_rows_are_filtered_by_words_and_status(client: TestClient) -> None:
    source = EXAMPLES / "departments.xlsx"
    location = client.post("/api/v1/batches", params={"filename": source.name, "as_of": "2019-12-31"},
                           content=source.read_bytes()).headers["location"]  # fmt: skip
    finished(client, location)
    found = client.get(f"{location}/rows", params={"q": "水务 15%"}).json()
    assert found["matching"] == 0
    assert client.get(f"{location}/rows", params={"q": "水务"}).json()["matching"] == 1
    undecided = client.get(f"{location}/rows", params={"status": "无法判定"}).json()
    assert undecided["matching"] == 2
    assert client.get(f"{location}/rows", params={"table": 9}).status_code == 404


def test_a_template_reads_back(client: TestClient, tmp_path: Path) -> None:
    answer = client.get("/api/v1/templates/departments")
    path = tmp_path / "t.xlsx"
    path.write_bytes(answer.content)
    pack = load_pack()
    submission = read_facts([path], dossiers=pack.dossiers)
    assert [table.record for table in submission.tables if table.record] == ["department"]


def test_too_large_a_body_is_refused_before_it_is_read(client: TestClient) -> None:
    answer = client.post(f"/api/v1/provisions/{CUT}/evaluate", content=b"x" * 1_100_000,
                         headers={"content-type": "application/json"})  # fmt: skip
    assert answer.status_code == 413
    assert answer.json()["detail"].endswith("MB")


def test_too_many_requests_are_told_to_wait(tmp_path: Path) -> None:
    with client_of(settings_in(tmp_path, requests_a_minute=60, burst=5)) as few:
        answers = [few.get("/api/v1/health") for _ in range(8)]
    assert [answer.status_code for answer in answers[:5]] == [200] * 5
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_openapi_describes_every_call_with_its_errors(client: TestClient) -> None:
    schema = client.get("/api/v1/openapi.json").json()
    assert all(path.startswith("/api/v1/") for path in schema["paths"])
    evaluate = schema["paths"]["/api/v1/provisions/{identity}/evaluate"]["post"]
    assert {"200", "404", "413", "422", "429"} <= set(evaluate["responses"])


@pytest.mark.parametrize("day", [0, 1577836800, "0", "20191231", "2019-12-31T00:00:00", True])
def test_a_day_is_written_out(client: TestClient, day: object) -> None:
    """A number is no day: it would be taken for seconds since 1970."""
    answer = client.post(f"/api/v1/provisions/{CUT}/evaluate", json={"inputs": FACTS, "as_of": day})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/as_of"


def test_the_budget_cut_equals_hegui_batch_row_by_row(client: TestClient, tmp_path: Path) -> None:
    """The page's batch and the columnar one, for every department: result and amount that count."""
    source = EXAMPLES / "departments.xlsx"
    location = client.post("/api/v1/batches", params={"filename": source.name, "as_of": "2019-12-31"},
                           content=source.read_bytes()).headers["location"]  # fmt: skip
    finished(client, location)
    told = client.get(f"{location}/rows", params={"limit": 1000}).json()
    place = told["headers"].index("下年度公用经费压缩")
    shown = {row["cells"][0]: row["cells"][place] for row in told["rows"]}
    assert shown == batch_totals(source, tmp_path)
    assert len(shown) == 40


def batch_totals(source: Path, folder: Path) -> dict[str, str]:
    """What `hegui batch` counts for each subject, blank where a matter is undetermined."""
    from contextlib import closing

    from facts.batch import Batch, Options

    with closing(Batch(load_pack(), Options(as_of=date(2019, 12, 31)))) as batch:
        batch.run(source, folder / "out.csv", None)
    totals: dict[str, Decimal | None] = {}
    for row in csv.DictReader((folder / "out.csv").open(encoding="utf-8-sig")):
        before = totals.get(row["subject"], Decimal(0))
        undecided = row["status"] == "undetermined"
        totals[row["subject"]] = None if before is None or undecided else before + Decimal(row["counted"] or 0)
    return {subject: "" if total is None else f"{total:.2f}" for subject, total in totals.items()}


def test_a_large_file_is_assessed_by_columns_with_the_same_results(client: TestClient, tmp_path: Path) -> None:
    """Twenty thousand rows in one file, and the first of them in a small one."""
    heading = "部门,争取资金任务（万元）,实际争取（万元）,6月支出进度,9月支出进度,11月支出进度,下年度公用经费（万元）\n"
    lines = [f"单位{n},1000,{700 + n % 400},{40 + n % 20}%,{70 + n % 20}%,{85 + n % 15}%,{200 + n}\n" for n in range(20_000)]
    lines[3] = lines[3].replace("703", "7O3")
    data = (heading + "".join(lines)).encode()
    assert len(data) > LARGE_FROM
    location = client.post("/api/v1/batches", params={"filename": "big.csv", "as_of": "2019-12-31"}, content=data).headers["location"]
    assert finished(client, location)["state"] == "done"
    summary = client.get(f"{location}/summary").json()
    assert summary["large"]
    assert (summary["counts"]["rows_in"], summary["counts"]["accepted"], summary["counts"]["rejected"]) == (20_000, 19_999, 1)
    assert client.get(f"{location}/problems").json()[0]["line"] == 5
    small = client.post("/api/v1/batches", params={"filename": "small.csv", "as_of": "2019-12-31"},
                        content=(heading + "".join(lines[:300])).encode()).headers["location"]  # fmt: skip
    finished(client, small)
    told = client.get(f"{small}/rows", params={"limit": 1000}).json()
    place = told["headers"].index("下年度公用经费压缩")
    for row in told["rows"][::37]:
        subject = row["cells"][0]
        found = [line["cells"] for line in client.get(f"{location}/rows", params={"q": f"{subject} "}).json()["rows"]
                 if line["cells"][0] == subject]  # fmt: skip
        counted = client.get(f"{location}/rows").json()["headers"].index("计入合计")
        assert sum(Decimal(cells[counted]) for cells in found) == Decimal(row["cells"][place])
