"""Several policies on one server: chosen on the page or in the call, found by a link, kept apart."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from starlette.testclient import TestClient

import web.cli
from engine import load_pack
from engine.load import pack_names
from web.library import TwoPacksOneId, open_libraries
from web_helpers import CUT, EXAMPLES, client_of, csrf_of, finished, settings_in

TALENT = "yunling_talent_2026"
SETTLING = "talent.settling.allowance"
APPLICANTS = EXAMPLES.parent.parent / TALENT / "examples" / "applicants.xlsx"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(settings_in(tmp_path)) as found:
        yield found


def chosen(page: str) -> str:
    found = re.search(r'<option value="(\w+)" selected>', page)
    assert found is not None
    return found[1]


def test_all_shipped_policies_are_offered_and_the_choice_stays(client: TestClient) -> None:
    assert [entry["id"] for entry in client.get("/api/v1/policies").json()] == pack_names()
    assert chosen(client.get("/").text) == pack_names()[0]
    page = client.get("/", params={"policy": TALENT, "lang": "zh"}).text
    assert f"/calculate/{SETTLING}" in page
    assert CUT not in page
    for path in ("/rules", "/what-if", "/overview", "/batch"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert chosen(answer.text) == TALENT
    assert "共 8 条" in client.get("/rules").text


def test_a_link_opens_in_its_own_policy(client: TestClient) -> None:
    assert chosen(client.get(f"/rules/{SETTLING}").text) == TALENT
    assert chosen(client.get(f"/calculate/{CUT}").text) == pack_names()[0]
    assert client.get("/calculate/applicants").status_code == 200
    assert client.get(f"/calculate/{CUT}", params={"policy": TALENT}).status_code == 404


@pytest.mark.parametrize("policy", pack_names())
def test_the_call_shown_as_an_example_is_one_of_the_policy_and_works(client: TestClient, policy: str) -> None:
    page = html.unescape(client.get("/api", params={"policy": policy}).text)
    command = shlex.split(re.sub(r"\\\n", " ", re.search(r"<pre[^>]*>(curl .*?)</pre>", page, re.S)[1]))  # type: ignore[index]
    address, body = command[1], command[-1]
    assert f"policy={policy}" in address
    assert re.search(r"/provisions/([^/]+)/", address)[1] in load_pack(policy).ids  # type: ignore[index]
    client.cookies.clear()  # as another system calls
    answer = client.post(address, content=body.encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    assert answer.json()["outcome"]["status"] != "undetermined"


def test_no_page_names_a_provision() -> None:
    """The templates serve any pack: what they show of one comes from it."""
    templates = Path(__file__).parent.parent / "web" / "templates"
    text = "".join(path.read_text(encoding="utf-8") for path in templates.iterdir())
    assert [identity for name in pack_names() for identity in load_pack(name).ids if identity in text] == []


def test_a_call_names_its_policy(client: TestClient) -> None:
    listed = client.get("/api/v1/provisions", params={"policy": TALENT}).json()
    assert listed["pack"] == TALENT
    assert [entry["id"] for entry in listed["provisions"]]
    assert {entry["id"] for entry in listed["provisions"]} == set(
        load_pack(TALENT).ids
    )
    assert client.get(f"/api/v1/provisions/{SETTLING}").status_code == 200  # the first that has it
    assert client.get(f"/api/v1/provisions/{SETTLING}", params={"policy": pack_names()[0]}).status_code == 404
    assert [entry["id"] for entry in client.get("/api/v1/dossiers", params={"policy": TALENT}).json()] == ["applicants"]
    answer = client.post(f"/api/v1/provisions/{SETTLING}/evaluate", params={"policy": TALENT}, json={"inputs": {}})
    assert answer.status_code == 200
    assert answer.json()["outcome"]["status"] == "undetermined"


@pytest.mark.parametrize("name", ["no_such", "../../etc", "<script>", "好" * 90])
def test_an_unknown_policy_is_named_as_such(client: TestClient, name: str) -> None:
    answer = client.get("/api/v1/provisions", params={"policy": name})
    assert answer.status_code == 404
    assert TALENT in answer.json()["detail"]
    page = client.get("/rules", params={"policy": name})
    assert page.status_code == 404
    assert "<script>" not in page.text.replace('<script src="/static/hegui.js" defer></script>', "")
    assert client.get("/").status_code == 200


def test_a_batch_belongs_to_the_policy_it_was_handed_in_under(client: TestClient) -> None:
    token = csrf_of(client)
    location = client.post("/batch/upload", params={"filename": "a.xlsx", "policy": TALENT, "day": "2026-12-31"},
                           content=APPLICANTS.read_bytes(), headers={"x-csrf-token": token}).json()["location"]  # fmt: skip
    assert finished(client, f"{location}/state")["policy"] == TALENT
    client.get("/", params={"policy": pack_names()[0]})
    for view in ("results", "problems", "columns"):
        page = client.get(location, params={"view": view}).text
        assert chosen(page) == TALENT
    assert "a.xlsx" in client.get("/overview", params={"policy": TALENT}).text
    assert "a.xlsx" not in client.get("/overview", params={"policy": pack_names()[0]}).text
    assert "云岭县" in html.unescape(client.get("/batch").text)


def test_one_policy_needs_no_choice(tmp_path: Path) -> None:
    with client_of(settings_in(tmp_path, packs=(TALENT,))) as client:
        page = client.get("/").text
        assert 'name="policy"' not in page
        assert "云岭县" in page
        assert client.get(f"/rules/{CUT}").status_code == 404


def test_two_packs_of_one_id_are_refused() -> None:
    with pytest.raises(TwoPacksOneId):
        open_libraries([TALENT, TALENT])


@pytest.mark.parametrize(("arguments", "expected"), [
    ([], tuple(pack_names())), (["--pack", TALENT], (TALENT,)),
])  # fmt: skip
def test_the_command_line_may_name_the_pack_for_all_commands(arguments: list[str], expected: tuple[str, ...]) -> None:
    found: list[tuple[object, ...]] = []

    @click.group()
    @click.option("--pack", "pack_name", default="any")
    @click.pass_context
    def main(ctx: click.Context, pack_name: str) -> None:
        ctx.obj = {"pack": pack_name}

    @main.command()
    @click.pass_context
    def probe(ctx: click.Context) -> None:
        found.append(web.cli._packs(ctx, ()))

    main([*arguments, "probe"], standalone_mode=False)
    assert found == [expected]
