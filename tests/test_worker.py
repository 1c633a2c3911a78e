"""The child process that runs the chaining engine may die, hang or never start: nothing is lost.

Faults are staged by a module named `durable_rules_engine` put in front of the real one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.evaluate import worker as worker_module
from engine.evaluate.durable import NoVerdict, RuleBase
from engine.evaluate.durable_records import Fact, Inference, OutsideSubset, Pattern, Ref, Rule, Test
from engine.evaluate.worker import CACHED_RULE_BASES, Worker, WorkerDied, unavailable_reason

SCHEMA = {"firm": {"code": False}, "award": {"firm": False}}
AWARDED = Rule("awarded", (Pattern("f", "firm"), Pattern("a", "award", Test("==", "firm", Ref("f", "code")))))
RULE_BASE = RuleBase(SCHEMA, [AWARDED])
FACTS = (Fact("firm", {"code": 1}), Fact("award", {"firm": 2}), Fact("award", {"firm": 1}))
RIGHT = Inference(FACTS, (("awarded", (0, 2), None),))

# the first child misbehaves; a later one gives way to the real engine
ONCE = """
import pathlib, sys
here = pathlib.Path(__file__).parent
if (here / "once").exists():
    sys.path.remove(str(here))
    del sys.modules[__name__]
    import durable_rules_engine
else:
    (here / "once").touch()
    def create_ruleset(name, definition):
        {fault}
"""
ALWAYS = "def create_ruleset(name, definition): {fault}"
DIE = "import os; os.kill(os.getpid(), 9)"
HANG = "import time; time.sleep(3600)"

Stage = Callable[[str], None]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Puts a module in the place of the engine."""

    def write(source: str) -> None:
        (tmp_path / "durable_rules_engine.py").write_text(source)

    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return write


@pytest.fixture
def asks_again() -> Iterator[None]:
    """Has `unavailable_reason` try the import anew, before and after."""
    worker_module._import_failure.cache_clear()
    yield
    worker_module._import_failure.cache_clear()


@pytest.fixture
def real_engine() -> None:
    if reason := unavailable_reason():
        pytest.skip(reason)


@pytest.mark.usefixtures("real_engine")
class TestWithTheEngine:
    def test_one_child_answers_many_calls(self) -> None:
        with Worker() as worker:
            assert [worker.infer(RULE_BASE, FACTS) for _ in range(20)] == [RIGHT] * 20
            assert worker.starts == 1
            pid = worker.pid
            assert pid is not None
            assert pid != os.getpid()
        assert worker.pid is None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_the_answer_after_a_kill_is_right(self) -> None:
        with Worker() as worker:
            for starts in (1, 2, 3):
                assert worker.infer(RULE_BASE, FACTS) == RIGHT
                assert worker.starts == starts
                assert worker.pid
                os.kill(worker.pid, signal.SIGKILL)

    def test_a_kill_in_the_middle_of_a_case_is_made_good(self) -> None:
        pairs = RuleBase(SCHEMA, [Rule("pairs", (Pattern("a", "award"), Pattern("b", "award")))])
        case = [Fact("award", {"firm": n}) for n in range(120)]
        with Worker() as worker:
            expected = worker.infer(pairs, case, timeout=60)
            started = time.monotonic()
            worker.infer(pairs, case, timeout=60)
            half = (time.monotonic() - started) / 2
            assert worker.pid
            killer = threading.Timer(half, os.kill, (worker.pid, signal.SIGKILL))
            killer.start()
            assert worker.infer(pairs, case, timeout=60) == expected
            killer.join()
            assert len(expected.firings) == 120 * 119

    def test_a_child_that_hangs_once_is_replaced(self, stage: Stage) -> None:
        stage(ONCE.format(fault=HANG))
        with Worker() as worker:
            assert worker.infer(RULE_BASE, FACTS, timeout=0.5) == RIGHT
            assert worker.starts == 2

    def test_a_child_that_dies_once_is_replaced(self, stage: Stage) -> None:
        stage(ONCE.format(fault=DIE))
        with Worker() as worker:
            assert worker.infer(RULE_BASE, FACTS) == RIGHT
            assert worker.starts == 2

    @pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs signals that stop a process")
    def test_a_request_too_big_for_the_pipe_does_not_block_on_a_stopped_child(self) -> None:
        case = [*FACTS, *(Fact("award", {"firm": n}) for n in range(10, 10_000))]
        with Worker() as worker:
            worker.infer(RULE_BASE, FACTS)
            assert worker.pid
            os.kill(worker.pid, signal.SIGSTOP)
            assert worker.infer(RULE_BASE, case, timeout=5).firings == RIGHT.firings
            assert worker.starts == 2

    def test_a_rule_base_dropped_from_the_cache_is_sent_again(self) -> None:
        rule_bases = [
            RuleBase(SCHEMA, [Rule(f"r{n}", (Pattern("f", "firm", Test("==", "code", n)),))])
            for n in range(CACHED_RULE_BASES + 3)
        ]
        with Worker() as worker:
            for _ in range(2):
                for n, rule_base in enumerate(rule_bases):
                    firings = worker.infer(rule_base, [Fact("firm", {"code": n})]).firings
                    assert firings == ((f"r{n}", (0,), None),)
            assert worker.starts == 1

    def test_threads_take_turns(self) -> None:
        def ask(worker: Worker) -> Inference:
            return worker.infer(RULE_BASE, FACTS)

        answers: list[Inference] = []
        with Worker() as worker:
            threads = [
                threading.Thread(target=lambda: answers.extend(ask(worker) for _ in range(10)))
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert worker.starts == 1
        assert answers == [RIGHT] * 40

    def test_an_interrupted_call_leaves_no_reply_for_the_next(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(*arguments: object) -> object:
            raise KeyboardInterrupt

        with Worker() as worker:
            worker.infer(RULE_BASE, FACTS)
            with monkeypatch.context() as patch:
                patch.setattr("engine.evaluate.worker.json.loads", interrupt)
                with pytest.raises(KeyboardInterrupt):
                    worker.infer(RULE_BASE, FACTS)
            assert worker.infer(RULE_BASE, FACTS[:1]) == Inference(FACTS[:1], ())

    def test_a_case_that_outgrows_the_memory_is_no_answer(self) -> None:
        rule_base = RuleBase(SCHEMA, [Rule("all", tuple(Pattern(alias, "award") for alias in "abcd"))])
        case = [Fact("award", {"firm": n}) for n in range(60)]
        with Worker(memory_bytes=200_000_000) as worker:
            with pytest.raises((NoVerdict, WorkerDied)):
                worker.infer(rule_base, case, timeout=60)
            assert worker.infer(RULE_BASE, FACTS) == RIGHT

    def test_the_engine_is_available(self) -> None:
        assert unavailable_reason() is None


def test_a_child_that_always_dies_is_given_up(stage: Stage) -> None:
    stage(ALWAYS.format(fault=DIE))
    with Worker() as worker:
        with pytest.raises(WorkerDied, match="twice: ended by SIGKILL; then ended by SIGKILL"):
            worker.infer(RULE_BASE, FACTS)
        assert worker.starts == 2
        assert worker.pid is None


def test_a_child_that_always_hangs_is_given_up(stage: Stage) -> None:
    stage(ALWAYS.format(fault=HANG))
    started = time.monotonic()
    with Worker() as worker, pytest.raises(WorkerDied, match=r"no answer within 0\.2 s; then no answer"):
        worker.infer(RULE_BASE, FACTS, timeout=0.2)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["/nonexistent/python"], "cannot be started"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "ended with status 3"),
        ([sys.executable, "-c", "print('hello')"], "not in the agreed form"),
    ],
)
def test_a_child_that_can_never_start_is_given_up(command: list[str], reason: str) -> None:
    with Worker(command=command) as worker, pytest.raises(WorkerDied, match=reason):
        worker.infer(RULE_BASE, FACTS)


@pytest.mark.parametrize(
    "source",
    [
        "raise ImportError('undefined symbol: PyEval_CallObject')",
        "raise ModuleNotFoundError(\"No module named 'durable_rules_engine'\")",
    ],
)
@pytest.mark.usefixtures("asks_again")
def test_an_absent_engine_is_named_as_the_reason(stage: Stage, source: str) -> None:
    stage(source)
    reason = unavailable_reason()
    assert reason is not None
    assert reason.startswith("durable_rules_engine cannot be imported: ")
    with Worker() as worker:
        with pytest.raises(WorkerDied) as died:
            worker.infer(RULE_BASE, FACTS)
        assert worker.starts == 1
    assert died.value.reason == reason


@pytest.mark.usefixtures("asks_again")
def test_an_engine_that_crashes_on_import_is_named_as_the_reason(stage: Stage) -> None:
    stage("import os; os.kill(os.getpid(), 11)")
    assert unavailable_reason() == "durable_rules_engine cannot be imported: ended by SIGSEGV"
    with Worker() as worker, pytest.raises(WorkerDied, match="ended by SIGSEGV"):
        worker.infer(RULE_BASE, FACTS)


def test_what_the_engine_prints_does_not_disturb_the_replies(stage: Stage) -> None:
    stage("import os\nprint('{}')\n" + ALWAYS.format(fault="os.write(1, b'[]\\n'); 1 / 0"))
    with Worker() as worker, pytest.raises(NoVerdict, match="ZeroDivisionError"):
        worker.infer(RULE_BASE, FACTS)


def test_an_error_of_the_engine_makes_way_for_a_fresh_child(stage: Stage) -> None:
    stage(ALWAYS.format(fault="raise RuntimeError('error code: 101')"))
    with Worker() as worker:
        for starts in (1, 2):
            with pytest.raises(NoVerdict, match="101"):
                worker.infer(RULE_BASE, FACTS)
            assert worker.starts == starts
            assert worker.pid is None


def test_an_unfit_case_needs_no_child() -> None:
    with Worker() as worker:
        for bad in (Fact("firm", {"code": True}), Fact("firm", {}), Fact("form", {})):
            with pytest.raises(OutsideSubset):
                worker.infer(RULE_BASE, [bad])
        assert worker.starts == 0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs an interval timer")
def test_a_hung_child_without_a_parent_ends_itself(stage: Stage) -> None:
    stage(ALWAYS.format(fault="\n while True: pass"))
    command = worker_module._child_command(2**30)
    request = {
        "digest": RULE_BASE.digest,
        "rule_base": RULE_BASE.to_data(),
        "facts": [{"type": "firm", "values": {"code": 1}}],
        "seconds": 0.2,
    }
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        assert child.stdin
        child.stdin.write(json.dumps(request).encode() + b"\n")
        child.stdin.flush()
        assert child.wait(timeout=30) == -signal.SIGALRM


def test_the_child_starts_cheaply_and_the_parent_leaves_the_engine_alone() -> None:
    heavy = ("pydantic", "click", "polars", "yaml", "engine.load", "durable_rules_engine")
    code = f"import engine.evaluate.worker; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run(worker_module._bare_python(code), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
