"""A server for tests: in the process, or listening on a port of its own for a browser."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from starlette.testclient import TestClient

import web.library
from web.app import create_app
from web.auth import Users
from web.settings import Settings

web.library.open_library = cache(web.library.open_library)  # type: ignore[assignment]  # one reading of the rules for all

EXAMPLES = Path(__file__).parent.parent / "rules" / "chuxiong_2019" / "examples"
CUT = "fiscal.budget_cut.fundraising_shortfall"
FACTS = {
    "has_task": True,
    "task_amount": "1000万元",
    "raised_amount": "849.999999万元",
    "next_year_public_funds": "200万元",
}


def settings_in(folder: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {"data": folder / "data", "today": lambda: date(2019, 12, 31), "requests_a_minute": 10**6,
                              "burst": 10**6}  # fmt: skip
    return Settings(**(values | changes))


@contextmanager
def client_of(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The address of a running server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=port, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def add_users(settings: Settings) -> None:
    """A viewer, two officers and an analyst; each password is the name and `-long-password`."""
    settings.data.mkdir(parents=True, exist_ok=True)
    settings.users.write_text(_users(), encoding="utf-8")
    settings.users.chmod(0o600)


@cache
def _users() -> str:
    """The users file, hashed once for all tests."""
    with TemporaryDirectory() as folder:
        users = Users(Path(folder) / "users.json")
        for name, role in {"li": "viewer", "wang": "officer", "zhao": "officer", "chen": "analyst"}.items():
            users.add(name, role, f"{name}-long-password")
        return users.path.read_text(encoding="utf-8")


def csrf_of(client: TestClient, path: str = "/") -> str:
    found = re.search(r'name="csrf" content="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]


def sign_in(client: TestClient, name: str, password: str) -> None:
    token = csrf_of(client, "/sign-in")
    answer = client.post("/sign-in", data={"csrf": token, "name": name, "password": password}, follow_redirects=False)
    assert answer.status_code == 303, answer.text


def finished(
    client: TestClient, location: str, headers: dict[str, str] | None = None, seconds: float = 90
) -> dict[str, Any]:
    """A batch once it is done or failed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        told: dict[str, Any] = client.get(location, headers=headers).json()
        if told["state"] in ("done", "failed"):
            return told
        time.sleep(0.1)
    raise AssertionError(f"{location} did not finish")


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
