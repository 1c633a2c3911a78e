"""Run the chaining engine in a child process that may die.

The C module behind `durable.py` can crash, loop or eat memory, and on some Python versions it installs but
cannot be imported. None of that may take the caller down, so the module is loaded in a child only: here is
the child (`main`, by hand `python -m engine.evaluate.worker`) and the parent's handle on it (`Worker`).

One request and one reply at a time, each a line of JSON over stdin and stdout. The child says first whether
it can work. A request names a rule base by digest; a child that does not know the digest asks for the rules.
A child whose engine failed answers and then makes way for a fresh one.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from engine.evaluate.durable import NoVerdict, RuleBase
from engine.evaluate.durable_records import (
    Fact,
    Inference,
    OutsideSubset,
    fact_from_data,
    fact_to_data,
    inference_from_data,
    inference_to_data,
)

MEMORY_BYTES = 2 * 1024**3
"""Address space the child may use; past it the engine reports an error or the child dies."""
START_SECONDS = 60.0
"""Time a child has to start."""
CACHED_RULE_BASES = 16
"""Compiled rule bases a child keeps."""
_GRACE_SECONDS = 5
"""A child whose parent is gone and whose engine loops ends itself this long after the time limit."""


class WorkerDied(RuntimeError):
    """No child could give an answer. The case itself is unharmed and can be decided another way."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Worker:
    """A child process that evaluates rule bases; started by the first `infer`, replaced when it is lost.

    `memory_bytes` bounds the child's address space where the system can. `command` starts the child, for
    tests. Threads may share a worker; their calls take turns.
    """

    def __init__(self, *, memory_bytes: int = MEMORY_BYTES, command: Sequence[str] | None = None) -> None:
        self._command = list(command or _child_command(memory_bytes))
        self._child: _Child | None = None
        self._lock = threading.Lock()
        self.starts = 0
        """Children started so far; more than one means that one was lost or made way."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process id of the present child."""
        return self._child.process.pid if self._child else None

    def infer(self, rule_base: RuleBase, facts: Sequence[Fact], timeout: float = 10.0) -> Inference:
        """The inference of `rule_base` over one case, drawn in the child.

        Units: `timeout` in seconds, for one attempt; a call may take two, and two starts of a child.
        Errors: `OutsideSubset`, `NoVerdict` as from `RuleBase.infer`; `WorkerDied` if the child died or hung
        twice, or cannot work at all.
        """
        # an unfit case costs no round trip; what JSON would bend (a tuple, a float) never reaches the child
        rule_base.check(facts)
        with self._lock:
            reasons = []
            for _ in range(2):
                try:
                    reply = self._ask(rule_base, facts, timeout)
                    break
                except _Lost as lost:
                    self._discard()
                    reasons.append(str(lost))
                except BaseException:
                    # an interrupted exchange leaves a reply in the pipe that the next call must not read
                    self._discard()
                    raise
            else:
                raise WorkerDied("the chaining worker was lost twice: " + "; then ".join(reasons))
            if reply.get("spent"):
                self._discard()
        match reply:
            case {"inference": data}:
                return inference_from_data(data)
            case {"refused": str(reason)}:
                raise OutsideSubset(reason)
            case {"failed": str(reason)}:
                raise NoVerdict(reason)
        raise NoVerdict("the chaining worker gave a reply of no known form")

    def close(self) -> None:
        """End the child. The worker can be used again afterwards."""
        with self._lock:
            self._discard()

    def _ask(self, rule_base: RuleBase, facts: Sequence[Fact], timeout: float) -> Mapping[str, Any]:
        if self._child is None:
            self.starts += 1
            self._child = _Child(self._command)
            hello = self._child.receive(START_SECONDS)
            if "absent" in hello:
                self._discard()
                raise WorkerDied(str(hello["absent"]))
        request = {
            "digest": rule_base.digest,
            "facts": [fact_to_data(fact) for fact in facts],
            "seconds": timeout + _GRACE_SECONDS,
        }
        reply = self._child.exchange(request, timeout)
        if "unknown" in reply:
            reply = self._child.exchange({**request, "rule_base": rule_base.to_data()}, timeout)
        return reply

    def _discard(self) -> None:
        child, self._child = self._child, None
        if child:
            child.end()


def unavailable_reason() -> str | None:
    """Why the chaining engine cannot be used on this machine, or `None` if it can.

    Tries the import, in a process of its own: being installed does not mean that it loads. Asked once per
    process.
    """
    return _import_failure()


@functools.cache
def _import_failure() -> str | None:
    try:
        trial = subprocess.run(
            _python("-c", "import durable_rules_engine"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"durable_rules_engine cannot be tried: {error}"
    if trial.returncode == 0:
        return None
    lines = trial.stderr.decode(errors="replace").strip().splitlines()
    return _absent(lines[-1] if lines else _ending(trial.returncode))


def _absent(detail: str) -> str:
    return f"durable_rules_engine cannot be imported: {detail}"


class _Lost(Exception):
    """The child is gone or silent."""


class _Child:
    """One child process and the lines to and from it."""

    def __init__(self, command: Sequence[str]) -> None:
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise _Lost(f"it cannot be started: {error}") from error

    def exchange(self, request: Mapping[str, Any], seconds: float) -> Mapping[str, Any]:
        """Send a request and wait for its reply."""
        return self.receive(seconds, json.dumps(request, separators=(",", ":")).encode() + b"\n")

    def receive(self, seconds: float, send: bytes = b"") -> Mapping[str, Any]:
        """The next line of the child, after `send` was written to it, all within `seconds`.

        A timer that kills the child covers writing too (a hung child does not read, and a full pipe blocks),
        and works where a pipe cannot be polled.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self.process.kill()

        timer = threading.Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        line = b""
        try:
            with contextlib.suppress(OSError):
                self.process.stdin.write(send)
                self.process.stdin.flush()
                line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if expired.is_set():
            raise _Lost(f"no answer within {seconds:g} s")
        if not line.endswith(b"\n"):
            raise _Lost(self._last_words())
        try:
            reply = json.loads(line)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise _Lost("its answer was not in the agreed form")
        return reply

    def end(self) -> None:
        """Kill the child and wait for it."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            # what was left unsent cannot be sent any more
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()
        self.process.wait()

    def _last_words(self) -> str:
        try:
            return _ending(self.process.wait(_GRACE_SECONDS))
        except subprocess.TimeoutExpired:
            return "it closed its output"


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


def _python(*arguments: str) -> list[str]:
    # -P: a file in the working directory must not pass for a module
    return [sys.executable, "-P", *arguments]


# The child needs two modules of the package. Importing the package itself, which reads rule packs, would
# more than double the time to start, so bare packages stand in for it.
_BARE_PACKAGES = """
import sys, types
for name, path in ("engine", sys.argv[1]), ("engine.evaluate", sys.argv[2]):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
"""


def _bare_python(code: str, *arguments: str) -> list[str]:
    here = Path(__file__).resolve().parent
    return _python("-c", _BARE_PACKAGES + code, str(here.parent), str(here), *arguments)


def _child_command(memory_bytes: int) -> list[str]:
    return _bare_python("from engine.evaluate.worker import main; main(int(sys.argv[3]))", str(memory_bytes))


def main(memory_bytes: int) -> None:
    """The child: answer requests until the input ends."""
    replies = _claim_stdout()
    _limit_resources(memory_bytes)
    try:
        importlib.import_module("durable_rules_engine")
    except Exception as error:  # whatever stops the import, the answer is the same
        _write(replies, {"absent": _absent(f"{type(error).__name__}: {error}")})
        return
    _write(replies, {"ready": True})
    rule_bases: dict[str, RuleBase] = {}
    for line in sys.stdin.buffer:
        reply = _answer(json.loads(line), rule_bases)
        _write(replies, reply)
        if reply.get("spent"):
            return


def _answer(request: Mapping[str, Any], rule_bases: dict[str, RuleBase]) -> dict[str, Any]:
    """The reply to one request; `rule_bases` holds the compiled ones, the longest unused first."""
    digest = request["digest"]
    _set_alarm(request["seconds"])
    try:
        rule_base = rule_bases.pop(digest, None)
        if rule_base is None and "rule_base" not in request:
            return {"unknown": digest}
        if rule_base is None:
            if len(rule_bases) >= CACHED_RULE_BASES:
                rule_bases.pop(next(iter(rule_bases))).close()
            rule_base = RuleBase.from_data(request["rule_base"])
        rule_bases[digest] = rule_base
        inference = rule_base.infer([fact_from_data(fact) for fact in request["facts"]])
        return {"inference": inference_to_data(inference)}
    except OutsideSubset as error:
        return {"refused": error.reason, "spent": _is_spent(rule_bases)}
    except NoVerdict as error:
        return {"failed": error.reason, "spent": True}
    except Exception as error:  # the parent is told, and starts another child
        return {"failed": f"the chaining worker failed: {error!r}", "spent": True}
    finally:
        _set_alarm(0)


def _is_spent(rule_bases: Mapping[str, RuleBase]) -> bool:
    return any(rule_base.abandoned for rule_base in rule_bases.values())


def _write(replies: IO[bytes], reply: Mapping[str, Any]) -> None:
    replies.write(json.dumps(reply, separators=(",", ":")).encode() + b"\n")
    replies.flush()


def _claim_stdout() -> IO[bytes]:
    """The output for replies alone: whatever else is printed, by C code too, goes to stderr."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _limit_resources(memory_bytes: int) -> None:
    # an interrupt from the keyboard reaches both processes; the parent decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import resource
    except ImportError:
        return
    for limit, amount in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (amount, resource.getrlimit(limit)[1]))


def _set_alarm(seconds: float) -> None:
    """End this process, even out of a loop in C, unless the alarm is set anew in time; 0 clears it."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    main(MEMORY_BYTES)
