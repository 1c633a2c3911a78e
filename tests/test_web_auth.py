"""Who may do what: sign-in, roles, sessions, CSRF, tokens, headers, and whose files are whose."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from web.auth import UserError, Users
from web.cli import serve, users
from web.guards import Buckets
from web.settings import Settings
from web_helpers import CUT, EXAMPLES, FACTS, add_users, client_of, csrf_of, finished, settings_in, sign_in


@pytest.fixture
def shared(tmp_path: Path) -> Settings:
    settings = settings_in(tmp_path, sign_ins_a_minute=100)
    add_users(settings)
    return settings


@pytest.fixture
def client(shared: Settings) -> Iterator[TestClient]:
    with client_of(shared) as found:
        yield found


def fresh(client: TestClient) -> TestClient:
    """Another browser at the same server."""
    other = TestClient(client.app, base_url="http://localhost", raise_server_exceptions=False)
    other.portal = client.portal  # one server, one event loop
    return other


def test_nothing_is_shown_before_signing_in(client: TestClient) -> None:
    for path in ("/", "/rules", f"/calculate/{CUT}", "/overview", "/batch", "/what-if", "/api"):
        answer = client.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in"), path
    for path in ("/api/v1/provisions", "/api/v1/batches", f"/api/v1/provisions/{CUT}"):
        assert client.get(path).status_code == 401, path


def test_signing_in_leads_back_to_where_one_wanted_to_go(client: TestClient) -> None:
    client.get("/rules?q=%E5%85%AC%E7%94%A8", follow_redirects=False)
    token = csrf_of(client, "/sign-in")
    answer = client.post("/sign-in", data={"csrf": token, "name": "li", "password": "li-long-password"},
                         follow_redirects=False)  # fmt: skip
    assert answer.headers["location"] == "/rules?q=%E5%85%AC%E7%94%A8"


def test_a_wrong_password_and_an_unknown_name_say_the_same(client: TestClient) -> None:
    texts = []
    for name in ("li", "nobody"):
        token = csrf_of(client, "/sign-in")
        answer = client.post("/sign-in", data={"csrf": token, "name": name, "password": "wrong"})
        assert answer.status_code == 401
        texts.append("用户名或密码不对" in answer.text)
    assert texts == [True, True]


def test_sign_in_attempts_are_limited(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, sign_ins_a_minute=2)
    add_users(settings)
    with client_of(settings) as client:
        token = csrf_of(client, "/sign-in")
        codes = [client.post("/sign-in", data={"csrf": token, "name": "li", "password": "no"}).status_code
                 for _ in range(4)]  # fmt: skip
    assert codes == [401, 401, 429, 429]


def test_a_new_session_begins_with_a_new_person(client: TestClient) -> None:
    client.get("/sign-in")
    before = client.cookies["hegui"]
    token = csrf_of(client, "/sign-in")
    answer = client.post("/sign-in", data={"csrf": token, "name": "li", "password": "li-long-password"},
                         follow_redirects=False)  # fmt: skip
    assert client.cookies["hegui"] != before
    cookie = next(header for header in answer.headers.get_list("set-cookie") if header.startswith("hegui="))
    assert "httponly" in cookie.lower()
    assert "samesite=lax" in cookie.lower()


def test_roles_bound_what_one_may_do(client: TestClient) -> None:
    sign_in(client, "li", "li-long-password")
    assert client.get("/rules").status_code == 200
    assert client.get("/batch").status_code == 403
    assert 'href="/batch"' not in client.get("/").text
    officer = fresh(client)
    sign_in(officer, "wang", "wang-long-password")
    assert officer.get("/batch").status_code == 200
    assert officer.post("/rules-reload", data={"csrf": csrf_of(officer)}).status_code == 403
    analyst = fresh(client)
    sign_in(analyst, "chen", "chen-long-password")
    assert analyst.post("/rules-reload", data={"csrf": csrf_of(analyst)}, follow_redirects=False).status_code == 303


def test_a_post_without_its_token_is_refused(client: TestClient) -> None:
    sign_in(client, "chen", "chen-long-password")
    assert client.post("/rules-reload").status_code == 403
    assert client.post("/rules-reload", data={"csrf": "made-up"}).status_code == 403
    other = fresh(client)
    sign_in(other, "wang", "wang-long-password")
    assert client.post("/rules-reload", data={"csrf": csrf_of(other)}).status_code == 403


@pytest.mark.parametrize("headers", [
    {"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
    {"origin": "null"},
])  # fmt: skip
def test_what_another_site_sends_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    with client_of(settings_in(tmp_path)) as client:
        answer = client.post(f"/api/v1/provisions/{CUT}/evaluate", json={"inputs": FACTS}, headers=headers)
    assert answer.status_code == 403


def test_an_unknown_host_name_is_refused(tmp_path: Path) -> None:
    with client_of(settings_in(tmp_path)) as client:
        assert client.get("/api/v1/health", headers={"host": "rebound.example"}).status_code == 400


def test_one_users_files_are_not_there_for_another(client: TestClient) -> None:
    wang, zhao = fresh(client), fresh(client)
    sign_in(wang, "wang", "wang-long-password")
    sign_in(zhao, "zhao", "zhao-long-password")
    source = EXAMPLES / "departments.xlsx"
    answer = wang.post("/batch/upload", params={"filename": source.name, "day": "2019-12-31"}, content=source.read_bytes(),
                       headers={"x-csrf-token": csrf_of(wang)})  # fmt: skip
    assert answer.status_code == 202, answer.text
    location = answer.json()["location"]
    assert finished(wang, f"/api/v1{location}".replace("/batch/", "/batches/"))["state"] == "done"
    assert wang.get(location).status_code == 200
    base = f"/api/v1{location}".replace("/batch/", "/batches/")
    for path in (location, f"{location}/state", f"{location}/files/results.xlsx", base, f"{base}/rows", f"{base}/summary",
                 f"{base}/files/annotated.xlsx"):  # fmt: skip
        assert zhao.get(path).status_code == 404, path
    assert zhao.get("/api/v1/batches").json() == []
    assert zhao.post(f"{location}/delete", data={"csrf": csrf_of(zhao)}).status_code == 404
    assert zhao.get(f"/overview?batch={location.rpartition('/')[2]}").text.count("departments.xlsx") == 0


def test_two_browsers_at_a_private_server_have_their_own_files(tmp_path: Path) -> None:
    with client_of(settings_in(tmp_path)) as one:
        two = fresh(one)
        one.get("/"), two.get("/")
        source = EXAMPLES / "fund_documents.xlsx"
        location = one.post("/batch/upload", params={"filename": source.name}, content=source.read_bytes(),
                            headers={"x-csrf-token": csrf_of(one)}).json()["location"]  # fmt: skip
        assert one.get(f"{location}/state").status_code == 200
        assert two.get(f"{location}/state").status_code == 404


def test_signing_out_ends_the_session_and_removes_its_files(client: TestClient, shared: Settings) -> None:
    sign_in(client, "wang", "wang-long-password")
    source = EXAMPLES / "departments.xlsx"
    client.post("/batch/upload", params={"filename": source.name}, content=source.read_bytes(),
                headers={"x-csrf-token": csrf_of(client)})  # fmt: skip
    assert list(shared.batches.iterdir())
    stolen = client.cookies["hegui"]
    client.post("/sign-out", data={"csrf": csrf_of(client)})
    assert not [folder for folder in shared.batches.iterdir() if (folder / "in").exists()]
    thief = TestClient(client.app, base_url="http://localhost", cookies={"hegui": stolen})
    assert thief.get("/rules", follow_redirects=False).status_code == 303


def test_a_removed_user_and_a_changed_password_end_open_sessions(client: TestClient, shared: Settings) -> None:
    sign_in(client, "wang", "wang-long-password")
    other = fresh(client)
    sign_in(other, "zhao", "zhao-long-password")
    Users(shared.users).add("wang", "officer", "another-password")
    Users(shared.users).remove("zhao")
    assert client.get("/rules", follow_redirects=False).status_code == 303
    assert other.get("/rules", follow_redirects=False).status_code == 303


def test_a_token_calls_the_api_as_its_user(client: TestClient, shared: Settings) -> None:
    token = Users(shared.users).new_token("wang")
    headers = {"authorization": f"Bearer {token}"}
    assert client.get("/api/v1/provisions", headers=headers).status_code == 200
    assert client.post(f"/api/v1/provisions/{CUT}/evaluate", json={"inputs": FACTS}, headers=headers).status_code == 200
    assert client.get("/api/v1/provisions", headers={"authorization": "Bearer wrong"}).status_code == 401
    viewer = Users(shared.users).new_token("li")
    assert client.get("/api/v1/batches", headers={"authorization": f"Bearer {viewer}"}).status_code == 403


def test_passwords_are_hashed_and_the_files_private(shared: Settings) -> None:
    text = shared.users.read_text()
    assert "$argon2id$" in text
    assert "long-password" not in text
    assert stat.S_IMODE(shared.users.stat().st_mode) == 0o600
    with client_of(shared):
        assert stat.S_IMODE(shared.secret.stat().st_mode) == 0o600


def test_short_passwords_and_odd_names_are_refused(tmp_path: Path) -> None:
    found = Users(tmp_path / "users.json")
    with pytest.raises(UserError):
        found.add("li", "viewer", "short")
    with pytest.raises(UserError):
        found.add("a\nb", "viewer", "long-enough-password")


def test_every_answer_carries_the_security_headers(client: TestClient) -> None:
    for path in ("/sign-in", "/api/v1/health", "/static/hegui.js", "/nothing", "/api/v1/nothing"):
        headers = client.get(path, follow_redirects=False).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"


def test_buckets_fill_again() -> None:
    now = [0.0]
    buckets = Buckets(60, 2, clock=lambda: now[0])
    assert [buckets.wait("a") > 0 for _ in range(3)] == [False, False, True]
    assert buckets.wait("b") == 0
    now[0] = 1.0
    assert buckets.wait("a") == 0
    assert buckets.wait("a") > 0


def test_a_shared_address_needs_users_or_a_word(tmp_path: Path) -> None:
    answer = CliRunner().invoke(serve, ["--host", "0.0.0.0", "--data", str(tmp_path)])
    assert answer.exit_code == 2
    assert "hegui users add" in answer.output


def test_a_taken_port_and_a_bad_certificate_are_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = CliRunner().invoke(serve, ["--port", str(port), "--data", str(tmp_path)])
    assert (answer.exit_code, "--port" in answer.output) == (2, True)
    (tmp_path / "bad.pem").write_text("x", encoding="utf-8")
    bad = str(tmp_path / "bad.pem")
    answer = CliRunner().invoke(serve, ["--port", "0", "--data", str(tmp_path), "--certificate", bad, "--key", bad])
    assert (answer.exit_code, "bad.pem" in answer.output) == (2, True)
    answer = CliRunner().invoke(serve, ["--host", "nosuchhost.invalid", "--open", "--data", str(tmp_path)])
    assert (answer.exit_code, "nosuchhost.invalid" in answer.output) == (2, True)


def test_users_are_kept_by_commands(tmp_path: Path) -> None:
    run = CliRunner().invoke
    data = ["--data", str(tmp_path)]
    assert run(users, ["add", "li", "--role", "viewer", "--generate", *data]).exit_code == 0
    assert "li\tviewer" in run(users, ["list", *data]).output
    token = run(users, ["token", "li", *data]).output.strip()
    assert Users(tmp_path / "users.json").of_token(token) is not None
    assert run(users, ["remove", "li", *data]).exit_code == 0
    assert run(users, ["remove", "li", *data]).exit_code == 2
