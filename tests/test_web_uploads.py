"""Hostile files: a clear message, the server goes on, nothing is left behind."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook
from starlette.testclient import TestClient

from web.problems import ApiProblem
from web.settings import Settings
from web.uploads import safe_name
from web_helpers import CUT, EXAMPLES, FACTS, client_of, files_below, finished, served, settings_in


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_in(tmp_path_factory.mktemp("uploads"), max_upload=20_000_000, batches_a_user=100, batch_workers=2)


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    with client_of(settings) as found:
        yield found


def workbook(rows: list[list[object]], name: str = "部门") -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = name
    for row in rows:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def zip_bomb() -> bytes:
    """A workbook whose sheet unpacks to 600 MB."""
    source = zipfile.ZipFile(io.BytesIO(workbook([["部门"]])))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for info in source.infolist():
            if not info.filename.endswith("sheet1.xml"):
                archive.writestr(info.filename, source.read(info))
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for _ in range(600):
                part.write(b" " * 1_000_000)
    return out.getvalue()


def billion_laughs() -> bytes:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(lines).encode()


def entities() -> bytes:
    """A workbook whose sheet declares entities that explode."""
    source = zipfile.ZipFile(io.BytesIO(workbook([["部门"]])))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for info in source.infolist():
            data = source.read(info)
            if info.filename.endswith("sheet1.xml"):
                data = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]>' + data
            archive.writestr(info.filename, data)
    return out.getvalue()


HOSTILE = {
    "page.xlsx": b"<!DOCTYPE html><html><body><table><tr><td>x</td></tr></table></body></html>",
    "random.xlsx": bytes(range(256)) * 400,
    "empty.zip.xlsx": b"PK\x05\x06" + b"\0" * 18,
    "truncated.xlsx": workbook([["部门", "争取资金任务"]])[:900],
    "bomb.xlsx": zip_bomb(),
    "entities.xlsx": entities(),
    "laughs.yaml": billion_laughs(),
    "deep.json": b"[" * 200_000,
    "deep.yaml": b"[" * 50_000,
    "twice.json": b'{"provision": "a", "provision": "b"}',
    "nul.csv": b"a,b\0,c\n1,2,3\n",
    "broken.csv": "部门,任务\n".encode() + b"\xe9\x83\xa8\xff\xfe\xe9\x97\xa8,1\n" * 3,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gets_a_clear_message_and_leaves_nothing(
    client: TestClient, settings: Settings, name: str
) -> None:
    answer = client.post("/api/v1/batches", params={"filename": name}, content=HOSTILE[name])
    assert answer.status_code == 202
    location = answer.headers["location"]
    told = finished(client, location, seconds=60)
    if told["state"] == "failed":
        assert told["error"]["zh"]
        assert told["error"]["en"]
        assert "Traceback" not in told["error"]["en"]
        assert str(settings.data) not in told["error"]["en"] + told["error"]["zh"]
        assert client.get(f"{location}/rows").status_code == 409
    else:
        assert client.get(f"{location}/summary").json()["errors"] > 0
        client.delete(location)
    assert files_below(settings.batches) == []
    assert client.post(f"/api/v1/provisions/{CUT}/evaluate", json={"inputs": FACTS}).status_code == 200


def test_html_named_xlsx_is_called_a_web_page(client: TestClient) -> None:
    location = client.post("/api/v1/batches", params={"filename": "a.xlsx"}, content=HOSTILE["page.xlsx"]).headers[
        "location"
    ]
    assert "网页" in finished(client, location)["error"]["zh"]


def test_a_file_beyond_the_limit_is_refused_by_its_stated_length(client: TestClient, settings: Settings) -> None:
    answer = client.post("/api/v1/batches", params={"filename": "big.xlsx"}, content=b"0" * 20_000_001)
    assert answer.status_code == 413
    assert "20 MB" in answer.json()["detail"]
    assert files_below(settings.batches) == []


def test_a_200_mb_stream_of_unstated_length_is_cut_off(tmp_path: Path) -> None:
    """Through a real server and in portions, as a browser would send it."""
    import httpx

    settings = settings_in(tmp_path, max_upload=20_000_000)

    def portions() -> Iterator[bytes]:
        for _ in range(200):
            yield b"0" * 1_000_000

    with served(settings) as address:
        answer = httpx.post(f"{address}/api/v1/batches?filename=big.xlsx", content=portions(), timeout=60)
        assert answer.status_code == 413
        assert "20 MB" in answer.json()["detail"]
        assert files_below(settings.batches) == []
        assert httpx.get(f"{address}/api/v1/health").status_code == 200


def test_formulas_in_a_submission_stay_text_in_every_download(client: TestClient) -> None:
    name = '=HYPERLINK("http://evil.example","x")'
    header = ["部门", "争取资金任务（万元）", "实际争取（万元）", "下年度公用经费（万元）"]
    data = "\n".join(
        [",".join(header), f'"{name.replace(chr(34), chr(34) * 2)}",1000,900,200', "@SUM(A1),1000,900,200"]
    )
    location = client.post("/api/v1/batches", params={"filename": "f.csv", "as_of": "2019-12-31"},
                           content=data.encode()).headers["location"]  # fmt: skip
    assert finished(client, location)["state"] == "done"
    text = client.get(f"{location}/files/results.csv").content.decode("utf-8-sig")
    assert "'=HYPERLINK" in text
    assert "\n@SUM" not in text
    book = load_workbook(io.BytesIO(client.get(f"{location}/files/results.xlsx").content))
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert "f" not in kinds


def test_the_annotated_copy_marks_the_cell_and_carries_no_formula(client: TestClient) -> None:
    rows: list[list[object]] = [
        ["部门", "争取资金任务（万元）", "实际争取（万元）", "下年度公用经费（万元）"],
        ["甲局", 1000, "8OO", 200], ["乙局", 1000, 900, 200], ["丙局", 1000, "=1+1", 200],
    ]  # fmt: skip
    location = client.post("/api/v1/batches", params={"filename": "f.xlsx", "as_of": "2019-12-31"},
                           content=workbook(rows)).headers["location"]  # fmt: skip
    assert finished(client, location)["state"] == "done"
    sheet = load_workbook(io.BytesIO(client.get(f"{location}/files/annotated.xlsx").content))["部门"]
    assert "8OO" in sheet["C2"].comment.text
    assert sheet["C2"].fill.fgColor.rgb == "FFF8C9C4"
    assert [cell.value for cell in sheet[1]][-3:] == ["结论", "金额（元）", "理由"]
    assert sheet["F3"].value == 100000
    assert "f" not in {cell.data_type for row in sheet.iter_rows() for cell in row}


@pytest.mark.parametrize("name", ["../../etc/passwd.xlsx", "..\\..\\x.xlsx", "/abs/olute.csv", "a\0b.xlsx", "名\n单.xlsx", "x" * 300 + ".xlsx", "; rm -rf.xlsx"])  # fmt: skip
def test_a_file_name_cannot_leave_its_folder(name: str) -> None:
    found = safe_name(name)
    assert "/" not in found
    assert "\\" not in found
    assert not found.startswith(".")
    assert found.isprintable()
    assert len(found) <= 100


@pytest.mark.parametrize("name", ["run.exe", "page.html", "noend", "." * 50 + ".xlsx", ".xlsx", "macro.xlsm.js", ""])
def test_other_kinds_of_file_are_refused(name: str) -> None:
    with pytest.raises(ApiProblem):
        safe_name(name)


def test_a_slow_file_is_stopped_and_the_next_one_goes_on(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, batch_seconds=0)
    with client_of(settings) as client:
        source = EXAMPLES / "departments.xlsx"
        location = client.post(
            "/api/v1/batches", params={"filename": source.name}, content=source.read_bytes()
        ).headers["location"]
        told = finished(client, location)
        assert told["state"] == "failed"
        assert "停止" in told["error"]["zh"]
        assert files_below(settings.batches) == []
        assert client.get("/api/v1/health").status_code == 200


def test_batches_are_bounded_and_expire(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, batches_a_user=2, keep_batches=2)
    with client_of(settings) as client:
        data = (EXAMPLES / "fund_documents.xlsx").read_bytes()
        codes = [
            client.post("/api/v1/batches", params={"filename": f"{n}.xlsx"}, content=data).status_code for n in range(3)
        ]
        assert codes == [202, 202, 429]
        deadline = time.monotonic() + 40
        while client.get("/api/v1/batches").json() and time.monotonic() < deadline:
            time.sleep(0.3)
        assert client.get("/api/v1/batches").json() == []
        assert files_below(settings.batches) == []


def test_a_server_that_starts_removes_what_was_left_and_one_that_stops_leaves_nothing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    (settings.batches / "old").mkdir(parents=True)
    (settings.batches / "old" / "secret.xlsx").write_bytes(b"x")
    with client_of(settings) as client:
        assert files_below(settings.batches) == []
        client.post(
            "/api/v1/batches", params={"filename": "a.xlsx"}, content=(EXAMPLES / "departments.xlsx").read_bytes()
        )
    assert files_below(settings.data) == ["secret.key"]
