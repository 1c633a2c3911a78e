"""Batches: files submitted by one owner, assessed in a process of their own, kept for a while, removed.

Every batch has a folder under the data folder: the files as received, a `job.json` for the worker,
its progress and its results. The worker is a separate process with limits on memory and time, so
that no file can stop the server; its folder goes when the batch is deleted, expires or cannot be
used, and with all others when the server starts or stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from engine.model import Text
from facts.columns import Given
from facts.headings import GivenTables
from web.library import Library
from web.mapping import as_data
from web.problems import ApiProblem
from web.settings import Settings
from web.uploads import receive, safe_name

State = Literal["waiting", "working", "done", "failed"]
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Batch:
    """One submission and what has become of it; `policy` is its pack's id, `pack` where that is read from."""

    id: str
    owner: str
    policy: str
    pack: str
    folder: Path
    filename: str
    size: int
    as_of: str
    lang: str
    state: State = "waiting"
    stage: str = ""
    done: int = 0
    total: int = 0
    error: Text | None = None
    record: str = ""
    period: str = ""
    mapping: dict[str, dict[str, Given]] = field(default_factory=dict)
    runs: int = 0
    created: float = field(default_factory=time.time)
    finished: float | None = None

    @property
    def source(self) -> Path:
        return self.folder / "in" / self.filename

    @property
    def results(self) -> Path:
        return self.folder / "out"

    def summary(self) -> dict[str, Any]:
        """What the worker says of the whole batch. Only for a batch that is done."""
        found: dict[str, Any] = json.loads((self.results / "summary.json").read_text(encoding="utf-8"))
        return found


class Batches:
    """All batches of a server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._held: dict[str, Batch] = {}
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Clears what an earlier server left and starts the workers."""
        shutil.rmtree(self.settings.batches, ignore_errors=True)
        self.settings.batches.mkdir(parents=True, mode=0o700)
        self._queue = asyncio.Queue()
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self.settings.batch_workers)]
        self._tasks.append(asyncio.create_task(self._sweep()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._held.clear()
        shutil.rmtree(self.settings.batches, ignore_errors=True)

    # What an owner may do

    async def submit(
        self,
        owner: str,
        filename: str,
        chunks: AsyncIterator[bytes],
        library: Library,
        as_of: str,
        lang: str,
        record: str = "",
        period: str = "",
    ) -> Batch:
        """Receives a file and queues it. Errors (`ApiProblem`): `too-many-batches`, those of `uploads`."""
        name = safe_name(filename)
        own = self.of(owner)
        if len(own) >= self.settings.batches_a_user:
            finished = [batch for batch in own if batch.state in ("done", "failed")]
            if not finished:
                raise ApiProblem("too-many-batches")
            self.delete(owner, finished[-1].id)  # the oldest gives way
        identity = secrets.token_urlsafe(16)
        batch = Batch(
            identity,
            owner,
            library.pack.id,
            str(library.pack.folder.resolve()),
            self.settings.batches / identity,
            name,
            0,
            as_of,
            lang,
            record=record,
            period=period,
        )
        (batch.folder / "in").mkdir(parents=True, mode=0o700)
        try:
            batch.size = await receive(chunks, batch.source, self.settings.max_upload)
        except BaseException:
            shutil.rmtree(batch.folder, ignore_errors=True)
            raise
        self._held[identity] = batch
        self._queue.put_nowait(identity)
        return batch

    def of(self, owner: str) -> list[Batch]:
        """The owner's batches, newest first."""
        return sorted(
            (batch for batch in self._held.values() if batch.owner == owner), key=lambda batch: -batch.created
        )

    def get(self, owner: str, identity: str) -> Batch:
        """One batch; another owner's is as if it were not there. Errors (`ApiProblem`): `not-found`."""
        batch = self._held.get(identity)
        if batch is None or batch.owner != owner:
            raise ApiProblem("not-found")
        return batch

    def finished(self, owner: str, identity: str) -> Batch:
        """A batch with results. Errors (`ApiProblem`): `not-found`, `not-ready`."""
        batch = self.get(owner, identity)
        if batch.state != "done":
            raise ApiProblem("not-ready", batch.error)
        return batch

    def remap(self, owner: str, identity: str, mapping: GivenTables, record: str, as_of: str) -> Batch:
        """Assesses the same file again with fields and units of columns as chosen by hand."""
        batch = self.get(owner, identity)
        if batch.state not in ("done", "failed") or not batch.source.exists():
            raise ApiProblem("not-ready")
        batch.mapping = {name: dict(pairs) for name, pairs in mapping.items()}
        batch.record, batch.as_of = record, as_of or batch.as_of
        batch.state, batch.stage, batch.done, batch.total, batch.error = "waiting", "", 0, 0, None
        shutil.rmtree(batch.results, ignore_errors=True)
        self._queue.put_nowait(identity)
        return batch

    def delete(self, owner: str, identity: str) -> None:
        batch = self.get(owner, identity)
        del self._held[identity]
        shutil.rmtree(batch.folder, ignore_errors=True)

    def delete_all(self, owner: str) -> None:
        for batch in self.of(owner):
            self.delete(owner, batch.id)

    # Working

    async def _work(self) -> None:
        while True:
            batch = self._held.get(await self._queue.get())
            if batch is None:
                continue
            batch.state = "working"
            batch.runs += 1
            try:
                await self._run(batch)
            except Exception as error:
                self._fail(batch, Text("处理失败", f"the batch failed ({type(error).__name__})"))
            batch.finished = time.time()
            if batch.id not in self._held:  # deleted meanwhile
                shutil.rmtree(batch.folder, ignore_errors=True)

    async def _run(self, batch: Batch) -> None:
        job = {
            "pack": batch.pack,
            "file": str(batch.source),
            "out": str(batch.results),
            "as_of": batch.as_of,
            "lang": batch.lang,
            "record": batch.record,
            "mapping": as_data(batch.mapping),
            "period": batch.period,
            "memory": self.settings.batch_memory,
            "seconds": self.settings.batch_seconds,
        }
        scratch = batch.folder / "tmp"
        for folder in (batch.results, scratch):
            folder.mkdir(exist_ok=True, mode=0o700)
        (batch.folder / "job.json").write_text(json.dumps(job, ensure_ascii=False), encoding="utf-8")
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": os.pathsep.join((str(ROOT), *filter(None, sys.path))),
            "TMPDIR": str(scratch),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "web.worker",
            str(batch.folder / "job.json"),
            cwd=batch.folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout is not None
        failure: Text | None = None
        try:
            async with asyncio.timeout(self.settings.batch_seconds):
                async for line in process.stdout:
                    told = json.loads(line)
                    batch.stage, batch.done, batch.total = told["stage"], told.get("done", 0), told.get("total", 0)
                    if batch.stage == "failed":
                        failure = Text(told["zh"], told["en"])
                    if batch.id not in self._held:
                        break
                else:
                    await process.wait()
        except TimeoutError:
            failure = Text(
                f"超过 {self.settings.batch_seconds} 秒仍未完成，已停止",
                f"not finished after {self.settings.batch_seconds} seconds, stopped",
            )
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            shutil.rmtree(scratch, ignore_errors=True)
        if failure is not None or process.returncode != 0:
            self._fail(
                batch,
                failure
                or Text("文件处理中断：内容可能过大或已损坏", "the file could not be processed: too large, or damaged"),
            )
            return
        batch.state = "done"

    def _fail(self, batch: Batch, error: Text) -> None:
        """A batch that cannot be used keeps its message; its files go."""
        batch.state, batch.error = "failed", error
        shutil.rmtree(batch.folder, ignore_errors=True)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(60, max(1, self.settings.keep_batches / 4)))
            now = time.time()
            for batch in list(self._held.values()):
                if batch.finished is not None and now - batch.finished > self.settings.keep_batches:
                    self.delete(batch.owner, batch.id)
