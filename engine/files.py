"""Files written beside their place and renamed, so that a run that dies leaves the old file or none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from engine.errors import HeguiError, Problem, system_reason

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

ABANDONED = 60
"""Seconds after which a half-written file that nobody holds is taken for abandoned."""
_MARK = ".hegui-"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when all went well and removed otherwise; a link stays one.

    Errors (`HeguiError`): `unwritable-file`, also where the disk is full on the way.
    """
    import tempfile

    target = Path(os.path.realpath(path))
    temporary: Path | None = None
    try:
        _clear_beside(target)
        handle, name = tempfile.mkstemp(prefix=_prefix(target), suffix=target.suffix, dir=target.parent)
        temporary = Path(name)
        os.close(handle)
        with _held(temporary):
            yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        fields = {"path": str(path), **system_reason(error)}
        raise HeguiError(Problem("unwritable-file", fields=fields)) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A folder beside `path` for what does not fit in memory, gone afterwards."""
    import tempfile

    _clear_beside(path)
    with tempfile.TemporaryDirectory(prefix=_prefix(path), dir=path.parent) as folder, _held(Path(folder)):
        yield Path(folder)


def _prefix(path: Path) -> str:
    """How the names begin of what is made beside a file, and of what is made beside that."""
    own = path.name[1:].partition(_MARK)[0] if _MARK in path.name and path.name.startswith(".") else path.name
    return f".{own[:40]}{_MARK}"


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Tells others, by a lock that ends with the process however it ends, that a file or folder is in use."""
    if fcntl is None:
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # where the file system has no locks nobody clears up either
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _clear_beside(target: Path) -> None:
    """Remove what a run that was killed left half written beside a file: what no process holds, after a minute."""
    import shutil
    import time

    if fcntl is None:
        return
    prefix = _prefix(target)
    with os.scandir(target.parent) as entries:  # a folder of results may hold thousands
        abandoned = [Path(entry.path) for entry in entries if entry.name.startswith(prefix)]
    for left in abandoned:
        with contextlib.suppress(OSError):
            handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                if time.time() - os.fstat(handle).st_mtime > ABANDONED:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            finally:
                os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
