"""What a server is told when it starts: where it listens, where it writes, how much it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from engine.errors import Lang
from engine.load import pack_names

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Settings:
    """`data` is the only folder the server writes to. Sizes are bytes, times seconds."""

    data: Path
    packs: tuple[str | Path, ...] = field(default_factory=lambda: tuple(pack_names()))
    """The rule packs served, each a name or a folder; the first one is shown where none was chosen."""
    lang: Lang = "zh"
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """Names under which browsers may reach the server; others are refused (DNS rebinding)."""
    https: bool = False
    max_body: int = 1 * MEGABYTE
    max_upload: int = 50 * MEGABYTE
    requests_a_minute: int = 1_200
    burst: int = 300
    sign_ins_a_minute: int = 5
    batches_a_user: int = 8
    batch_workers: int = 1
    batch_seconds: int = 600
    batch_memory: int = 3_000 * MEGABYTE
    keep_batches: int = 3_600
    session_seconds: int = 8 * 3_600
    today: Callable[[], date] = date.today

    @property
    def users(self) -> Path:
        return self.data / "users.json"

    @property
    def batches(self) -> Path:
        return self.data / "batches"

    @property
    def secret(self) -> Path:
        return self.data / "secret.key"
