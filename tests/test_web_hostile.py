"""Awkward and hostile input to pages and calls: refused in words, never a server error."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from web_helpers import CUT, EXAMPLES, client_of, csrf_of, finished, settings_in

EVALUATE = f"/api/v1/provisions/{CUT}/evaluate"
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client_of(settings_in(tmp_path_factory.mktemp("hostile"), batches_a_user=30)) as found:
        yield found


@pytest.mark.parametrize("body", [
    '{"inputs": {"raised_amount": NaN}}', '{"inputs": {"raised_amount": 1e999}}', '{"inputs": {"raised_amount": -Infinity}}',
    '{"inputs": {"raised_amount": -1}}', '{"inputs": {"raised_amount": 1' + "0" * 400 + "}}", '{"inputs": ' * 5_000,
    "[" * 100_000, '{"inputs": {"a": ' + "[" * 20_000 + "]" * 20_000 + "}}", "\udcff", "null", "[]", "", '"x"', '{"inputs": {"\\u0000": 1}}',
    '{"inputs": {"has_task": "' + "长" * 100_000 + '"}}',
])  # fmt: skip
def test_a_body_that_makes_no_sense_is_refused_in_words(client: TestClient, body: str) -> None:
    answer = client.post(EVALUATE, content=body.encode("utf-8", "surrogateescape"), headers=JSON)
    assert answer.status_code in (400, 422), answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 20_000


@pytest.mark.parametrize("body", ['{"inputs": {"has_task": true, "has_task": false}}', '{"inputs": {}, "inputs": {"has_task": true}}'])
def test_a_key_given_twice_is_refused(client: TestClient, body: str) -> None:
    answer = client.post(EVALUATE, content=body.encode(), headers=JSON)
    assert answer.status_code == 400


@pytest.mark.parametrize("language", ["", ";;;q=x", "en-GB,en;q=0.9", "x" * 5_000, "zh-TW", "*", "\xff"])
def test_an_odd_language_is_no_trouble(client: TestClient, language: str) -> None:
    for path in ("/rules", "/api/v1/provisions", "/api/v1/provisions/nothing"):
        answer = client.get(path, headers={"accept-language": language.encode("latin-1")})
        assert answer.status_code in (200, 404)


def test_script_in_cells_is_shown_as_text(client: TestClient) -> None:
    text = "部门,争取资金任务（万元）,实际争取（万元）,<b>备注</b>\n<script>alert(1)</script>,1000,<img src=x onerror=alert(1)>,=cmd|x\n"
    text += "乙" * 5_000 + ",1000,900,\n丙,-5,99999999999999999999999,\n"
    location = client.post("/batch/upload", params={"filename": "<svg onload=x>.csv"}, content=text.encode(),
                           headers={"x-csrf-token": csrf_of(client)}).json()["location"]  # fmt: skip
    finished(client, f"{location}/state")
    for view in ("results", "problems", "columns"):
        page = client.get(location, params={"view": view})
        assert page.status_code == 200
        for bad in ("<script>alert", "<img src=x", "<svg onload", "<b>备注"):
            assert bad not in page.text


@pytest.mark.parametrize("name", ["..%2f..%2fsecret.key", "%2e%2e%2fsecret.key", "job.json", "rows.db", "....//x", "results.csv%00.xlsx"])
def test_only_the_listed_files_are_sent(client: TestClient, name: str) -> None:
    client.cookies.clear()  # another system: no session, so no token either
    location = client.post("/api/v1/batches", params={"filename": "d.xlsx"},
                           content=(EXAMPLES / "departments.xlsx").read_bytes()).headers["location"]  # fmt: skip
    finished(client, location)
    assert client.get(f"{location}/files/{name}").status_code in (404, 422)
    client.delete(location)


def test_an_empty_file_and_a_wrong_token_are_refused(client: TestClient) -> None:
    token = csrf_of(client)
    empty = client.post("/batch/upload", params={"filename": "a.csv"}, content=b"",
                        headers={"x-csrf-token": token, "accept": "application/json"})  # fmt: skip
    assert (empty.status_code, empty.json()["detail"]) == (400, "没有收到文件内容")
    for wrong in ("", "x", token[:-2] + "zz"):
        answer = client.post("/batch/upload", params={"filename": "a.csv"}, content=b"a,b", headers={"x-csrf-token": wrong})
        assert answer.status_code == 403


def test_files_handed_in_at_once_are_kept_apart(tmp_path: Path) -> None:
    with client_of(settings_in(tmp_path, batches_a_user=30)) as client:
        token = csrf_of(client)

        def hand_in(number: int) -> str:
            text = f"部门,争取资金任务（万元）,实际争取（万元）,下年度公用经费（万元）\n单位{number},1000,900,200\n"
            answer = client.post("/batch/upload", params={"filename": "同名.csv", "day": "2019-12-31"},
                                 content=text.encode(), headers={"x-csrf-token": token})  # fmt: skip
            return str(answer.json()["location"])

        with ThreadPoolExecutor(6) as pool:
            locations = list(pool.map(hand_in, range(6)))
        assert len(set(locations)) == 6
        for number, location in enumerate(locations):
            finished(client, f"{location}/state")
            assert f"单位{number}<" in client.get(location).text
