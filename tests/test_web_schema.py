"""The API against its own description: requests made up from the OpenAPI document, sent to a running server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from needs import importorskip
from web_helpers import EXAMPLES as TABLES
from web_helpers import served, settings_in

CONFIG = Path(__file__).parent / "schemathesis.toml"
EXAMPLES = os.environ.get("HEGUI_SCHEMA_EXAMPLES", "10")
"""Requests made up for each call; more in a long run."""


@pytest.mark.browser
def test_every_call_keeps_to_its_description(tmp_path: Path) -> None:
    """Schemathesis: no server error, no undocumented status, media type or body, no way around the sign-in."""
    importorskip("schemathesis")
    with served(settings_in(tmp_path, batches_a_user=10_000, batch_seconds=20)) as address:
        source = TABLES / "departments.xlsx"
        answer = httpx.post(f"{address}/api/v1/batches", params={"filename": source.name}, content=source.read_bytes())
        while httpx.get(address + answer.headers["location"]).json()["state"] != "done":
            time.sleep(0.2)
        config = tmp_path / "schemathesis.toml"
        config.write_text(CONFIG.read_text().replace("A-FINISHED-BATCH", answer.json()["id"]))
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
        done = subprocess.run(
            [*command, f"{address}/api/v1/openapi.json", "--max-examples", EXAMPLES],
            capture_output=True, text=True, timeout=1500, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
