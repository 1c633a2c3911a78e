"""Repeating a recorded run with the present program and the present pack, and saying what differs and why.

Outcomes are compared one by one. Where one differs and the pack changed, the run is repeated a third
time with the pack as it was recorded: what then still differs from the record is the program's doing,
the rest the pack's. Where the files were kept and can be read again, the facts are compared too.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from engine.audit import PACK_PREFIX, AuditLog, RunRecord, digest_of, engine_digest, engine_version, unpack
from engine.audit_data import RecordedSubmission, outcomes_data, submission_data, submission_from
from engine.audit_store import AuditError
from engine.checking import SubmissionLike, check_submission
from engine.dataclass import dataclass
from engine.errors import EvaluationError, HeguiError, Problem
from engine.load import Pack, load_pack
from engine.source import Location

Cause = Literal["engine", "pack", "engine or pack", "reader", "unexplained"]

ReadAgain = Callable[[Pack, Sequence[Path], RunRecord], SubmissionLike]
"""Reads files anew as the recorded run did."""
RunAgain = Callable[[Pack, Sequence[Path], Path, RunRecord], Sequence[Path]]
"""Repeats a batch over its input files into a folder; the files it wrote."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that came out otherwise: `about` names the outcome, `what` the part of it."""

    about: str
    what: str
    was: Any
    now: Any
    cause: Cause


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a repeated run came to, beside what was recorded."""

    number: int
    pack_was: Mapping[str, str]
    pack_now: Mapping[str, str]
    engine_was: Mapping[str, str]
    engine_now: Mapping[str, str]
    compared: int
    differences: tuple[Difference, ...]
    facts_read_again: bool = False

    @property
    def same(self) -> bool:
        """Whether everything came out as recorded."""
        return not self.differences

    @property
    def pack_changed(self) -> bool:
        return self.pack_was["digest"] != self.pack_now["digest"]

    @property
    def engine_changed(self) -> bool:
        return dict(self.engine_was) != dict(self.engine_now)

    def to_dict(self) -> dict[str, Any]:
        return {
            "run": self.number,
            "same": self.same,
            "compared": self.compared,
            "facts_read_again": self.facts_read_again,
            "pack": {"changed": self.pack_changed, "was": dict(self.pack_was), "now": dict(self.pack_now)},
            "engine": {"changed": self.engine_changed, "was": dict(self.engine_was), "now": dict(self.engine_now)},
            "differences": [
                {"about": item.about, "what": item.what, "was": item.was, "now": item.now, "cause": item.cause}
                for item in self.differences
            ],
        }


def replay(
    log: AuditLog,
    run_id: int,
    load: Callable[[str], Pack] = load_pack,
    read: ReadAgain | None = None,
    run_again: RunAgain | None = None,
    hash_: str = "",
) -> ReplayReport:
    """Repeat a run, that of a hash or its beginning where one is given.

    `load` gives the present pack of an id; `read`, where given, reads kept files anew; `run_again` repeats a
    batch. Errors (`AuditError`): `audit-no-such-run`, `audit-record-changed`, `replay-other-pack`,
    `replay-not-possible`; whatever is wrong with the pack (`PackError`).
    """
    recorded = log.run(run_id, hash_)
    run = recorded.run
    pack = load(run.pack["id"])
    if pack.id != run.pack["id"]:
        fields = {"number": run_id, "recorded": run.pack["id"], "given": pack.id}
        raise AuditError(Problem("replay-other-pack", Location(log.store.shown, path=f"#{run_id}"), fields))
    replaying = _Replaying(log, run, pack)
    if run.kind == "batch":
        compared, differences = replaying.batch(run_again)
        again = False
    else:
        compared, differences = replaying.check()
        again, read_otherwise = replaying.facts(read)
        differences = [*read_otherwise, *differences]
    return ReplayReport(
        run_id,
        run.pack,
        {"id": pack.id, "version": pack.version, "digest": pack.digest},
        run.engine,
        {"version": engine_version(), "digest": engine_digest()},
        compared,
        tuple(differences),
        again,
    )


class _Replaying:
    def __init__(self, log: AuditLog, run: RunRecord, pack: Pack) -> None:
        self.log, self.run, self.pack = log, run, pack

    def impossible(self, zh: str, en: str) -> AuditError:
        return AuditError(
            Problem("replay-not-possible", Location(self.log.store.shown), {"reason_zh": zh, "reason": en})
        )

    # A check

    def check(self) -> tuple[int, list[Difference]]:
        facts = submission_from(self.run.content["facts"])
        was = _parts(self.run.content["outcomes"])
        now = self.recomputed(self.pack, facts)
        changed = [key for key in {**was, **now} if was.get(key) != now.get(key)]
        causes = self.causes(changed, was, now, facts)
        differences = [Difference(*key, was.get(key), now.get(key), causes[key]) for key in changed]
        return len({**was, **now}), differences

    def recomputed(self, pack: Pack, facts: RecordedSubmission) -> dict[tuple[str, str], Any]:
        """Every part of every outcome, each case by itself so that one that fails leaves the others."""
        flat: list[dict[str, Any]] = []
        dossiers: list[dict[str, Any]] = []
        for single in _singles(facts):
            problem = _lacking(pack, single)
            try:
                if problem is None:
                    found = check_submission(pack, single, self.run.as_of, "reference", self.run.readings)
                    if not found.problems:
                        data = outcomes_data(found)
                        flat += data["flat"]
                        dossiers += data["dossiers"]
                        continue
                    problem = found.problems[0].code
            except HeguiError as error:
                if isinstance(error, EvaluationError) and error.problems[0].code == "evaluators-disagree":
                    raise
                problem = error.problems[0].code
            failed = {"status": f"({problem})", "values": {}}
            if single.flat:
                flat.append({"provision": single.flat[0].provision, "label": single.flat[0].label, **failed})
        return _parts({"flat": flat, "dossiers": dossiers})

    def causes(
        self,
        changed: Sequence[tuple[str, str]],
        was: Mapping[tuple[str, str], Any],
        now: Mapping[tuple[str, str], Any],
        facts: RecordedSubmission,
    ) -> dict[tuple[str, str], Cause]:
        """Why each part differs."""
        if not changed:
            return {}
        same_pack = self.run.pack["digest"] == self.pack.digest
        same_engine = dict(self.run.engine) == {"version": engine_version(), "digest": engine_digest()}
        if same_pack:
            return dict.fromkeys(changed, "unexplained" if same_engine else "engine")
        kept = self.log.kept(PACK_PREFIX + self.run.pack["digest"])
        if kept is None:
            return dict.fromkeys(changed, "pack" if same_engine else "engine or pack")
        with tempfile.TemporaryDirectory(prefix="hegui-replay-") as folder:
            try:
                before = self.recomputed(load_pack(unpack(kept, Path(folder))), facts)
            except HeguiError:  # the program no longer reads that pack
                return dict.fromkeys(changed, "engine or pack")
        return {key: "pack" if before.get(key) == was.get(key) else "engine" for key in changed}

    def facts(self, read: ReadAgain | None) -> tuple[bool, list[Difference]]:
        """The kept files read anew, held against the facts as they were recorded."""
        if read is None or not self.run.inputs:
            return False, []
        with tempfile.TemporaryDirectory(prefix="hegui-replay-") as folder:
            paths: list[Path] = []
            for number, item in enumerate(self.run.inputs):
                data = self.log.kept(item.digest)
                if data is None:
                    return False, []
                path = Path(folder) / str(number) / PurePosixPath(item.name.replace("\\", "/")).name
                path.parent.mkdir()
                path.write_bytes(data)
                paths.append(path)
            now = _without_places(submission_data(read(self.pack, paths, self.run)))
        was = _without_places(self.run.content["facts"])
        parts = [part for part in ("cases", "flat", "tables") if was[part] != now[part]]
        return True, [
            Difference(_first_difference(part, was[part], now[part]), "facts", len(was[part]), len(now[part]), "reader")
            for part in parts
        ]

    # A batch

    def batch(self, run_again: RunAgain | None) -> tuple[int, list[Difference]]:
        if run_again is None:
            raise self.impossible("没有批量求值器", "there is no batch evaluator")
        outputs = self.run.content["outputs"]
        with tempfile.TemporaryDirectory(prefix="hegui-replay-") as folder:
            paths = [self._input(Path(folder), number) for number in range(len(self.run.inputs))]
            target = Path(folder) / "out"
            target.mkdir()
            written = run_again(self.pack, paths, target, self.run)
            now = [digest_of(path.read_bytes()) for path in written]
        was = [item["digest"] for item in outputs]
        cause: Cause = "engine or pack"
        if self.run.pack["digest"] == self.pack.digest:
            cause = "unexplained" if self.run.engine["digest"] == engine_digest() else "engine"
        differences = [
            Difference(item["name"], "digest", old, new, cause)
            for item, old, new in zip(outputs, was, now, strict=False)
            if old != new
        ]
        if len(was) != len(now):
            differences.append(Difference("outputs", "number of files", len(was), len(now), cause))
        return len(was), differences

    def _input(self, folder: Path, number: int) -> Path:
        item = self.run.inputs[number]
        path = Path(item.name)
        data = self.log.kept(item.digest)
        if data is not None:
            path = folder / f"{number}-{PurePosixPath(item.name).name}"
            path.write_bytes(data)
        elif not path.is_file() or digest_of(path.read_bytes()) != item.digest:
            raise self.impossible(
                f"{item.name} 不在原处或已改动（SHA-256 {item.digest}）",
                f"{item.name} is not there, or not what it was (SHA-256 {item.digest})",
            )
        return path


def _singles(facts: RecordedSubmission) -> list[RecordedSubmission]:
    """The submission case by case."""
    return [RecordedSubmission((), (item,), ()) for item in facts.flat] + [
        RecordedSubmission((case,), (), facts.tables) for case in facts.cases
    ]


def _lacking(pack: Pack, single: RecordedSubmission) -> str | None:
    """What a pack of another version no longer has of what a case is about."""
    if single.flat:
        return None if pack.has(single.flat[0].provision) else "unknown-provision"
    (case,) = single.cases
    dossier = pack.dossiers.get(case.dossier)
    if dossier is None:
        return "unknown-dossier"
    known = all(row.record in dossier.records for row in (case.subject, *case.related))
    return None if known else "unknown-record"


def _parts(outcomes: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """Outcomes as a flat mapping: which outcome, which part of it → what it is."""
    found: dict[tuple[str, str], Any] = {}
    seen: Counter[str] = Counter()

    def add(about: str, outcome: Mapping[str, Any], parts: Sequence[str]) -> None:
        seen[about] += 1
        if seen[about] > 1:
            about = f"{about} ({seen[about]})"
        for part in parts:
            if part in outcome:
                found[about, part] = outcome[part]
        for name, value in outcome.get("values", {}).items():
            found[about, name] = value

    for item in outcomes["flat"]:
        add(f"{item['provision']}: {item['label']}", item, _OUTCOME_PARTS)
    for dossier in outcomes["dossiers"]:
        about = f"{dossier['dossier']}: {dossier['subject']}"
        add(about, dossier, ("total", "known_total", "skipped"))
        for item in dossier["items"]:
            add(f"{about}: {item['provision']}: {item['subject']}", item, _OUTCOME_PARTS)
    return found


_OUTCOME_PARTS = ("status", "missing", "reasons", "measures", "other_readings", "paid", "yields_to", "contained_in")


def _without_places(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts without where they were written: the kept copies lie elsewhere."""

    def strip(data: Any) -> Any:
        if isinstance(data, Mapping):
            return {key: strip(value) for key, value in data.items() if key != "at"}
        return [strip(item) for item in data] if isinstance(data, (list, tuple)) else data

    found = strip(facts)
    assert isinstance(found, dict), "facts are a mapping"
    return found


def _first_difference(part: str, was: Sequence[Any], now: Sequence[Any]) -> str:
    for number, (old, new) in enumerate(zip(was, now, strict=False), 1):
        if old != new:
            return f"{part} {number}"
    return f"{part} {min(len(was), len(now)) + 1}"
