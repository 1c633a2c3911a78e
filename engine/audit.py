"""Run records: what was assessed, by which rules and which program, and what came out, kept so that it can be proved.

A record holds the facts as they were read, the files they came from, the outcomes, and the pack
itself, so that a run can be repeated years later. Records form a chain: the hash of each covers its
number, the hash of the one before and its own canonical JSON. Who changes, removes or moves one
breaks the chain at a place that `AuditLog.verify` names. Who can rewrite the whole database could
also rewrite the whole chain: against that, keep a record's number and hash elsewhere and give it to
`verify`. Where records are kept is `audit_store`; how a run is repeated is `audit_replay`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import UTC, date, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from engine.audit_data import outcomes_data, problem_data, submission_data
from engine.audit_store import GENESIS, AuditError, Store, Stored, open_store
from engine.checking import Checked, Readings, SubmissionLike
from engine.dataclass import dataclass
from engine.errors import Problem, Wording, register
from engine.load import Pack
from engine.source import Location

FORM = 1
"""The form of the records below; a later program can tell by it how to read them."""
KEEP_BYTES = 20_000_000
"""Files of a run are kept with it up to this size together; larger ones by digest alone."""
PACK_PREFIX = "pack:"
"""What marks a kept pack among the kept files: its digest is the pack's, not that of one file."""


# Canonical JSON


def canonical(data: Any) -> str:
    """The one text of some plain data: sorted keys, no blanks, no floats."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def chain_hash(number: int, previous: str, head: str) -> str:
    """SHA-256 over the record's number, the hash before it and its head."""
    return digest_of(f"{number}\n{previous}\n{head}")


# What is recorded


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that was read or written: its name, SHA-256 and size in bytes."""

    name: str
    digest: str
    size: int

    def to_plain(self) -> dict[str, Any]:
        return {"name": self.name, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. `head` is what lists show; `content` holds the facts and the outcomes.

    `files` are the bytes to keep with it, by digest; they are part of the record through that digest.
    """

    head: Mapping[str, Any]
    content: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def kind(self) -> str:
        """`check` or `batch`."""
        return str(self.head["kind"])

    @property
    def at(self) -> str:
        """When the run was recorded, UTC."""
        return str(self.head["at"])

    @property
    def pack(self) -> Mapping[str, str]:
        """The pack's `id`, `version` and `digest`."""
        found: Mapping[str, str] = self.head["pack"]
        return found

    @property
    def engine(self) -> Mapping[str, str]:
        """The program's `version`, and the digest of its source."""
        found: Mapping[str, str] = self.head["engine"]
        return found

    @property
    def as_of(self) -> date | None:
        found = self.head["as_of"]
        return date.fromisoformat(found) if found else None

    @property
    def readings(self) -> Mapping[str, Mapping[str, int]]:
        found: Mapping[str, Mapping[str, int]] = self.head["readings"]
        return found

    @property
    def inputs(self) -> tuple[InputFile, ...]:
        return tuple(InputFile(**item) for item in self.head["inputs"])


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record with its place in the chain."""

    number: int
    hash: str
    run: RunRecord


@dataclass(frozen=True, slots=True)
class Finding:
    """Something `verify` found; `number` is the record it is about, None where it is about none."""

    number: int | None
    problem: Problem


class AuditLog:
    """The run records of one database. `url`: a path, `sqlite:///…`, `postgresql://…`; None is the user's own file.

    Errors (`AuditError`): `audit-database`, `audit-missing`, `audit-extra`.
    """

    def __init__(self, url: str | Path | None = None, create: bool = True) -> None:
        self.store: Store = open_store(url, create)

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.store.close()

    def append(self, run: RunRecord) -> int:
        """Add a record at the end of the chain; its number. On return it is on disk."""
        return self.add(run).number

    def add(self, run: RunRecord) -> Recorded:
        """As `append`, with the hash that is worth keeping elsewhere."""
        content = canonical(run.content)
        head = canonical({**run.head, "content": digest_of(content)})

        def make(number: int, previous: str) -> Stored:
            return Stored(number, previous, chain_hash(number, previous, head), head, content)

        stored = self.store.append(make, run.files)
        return Recorded(stored.number, stored.hash, run)

    def runs(self) -> Iterator[Recorded]:
        """Every record in order, without its content."""
        for stored in self.store.records(contents=False):
            yield Recorded(stored.number, stored.hash, RunRecord(_head(stored, self.store.shown), {}))

    def run(self, number: int, hash_: str = "") -> Recorded:
        """One record whole; its hash, or the beginning of it, may be asked for too.

        Errors (`AuditError`): `audit-no-such-run`, `audit-record-missing`, `audit-record-changed`,
        `audit-head-differs`.
        """
        stored = self.store.record(number) if abs(number) < 2**63 else None
        if stored is None:
            numbers = [witness for witness, _ in self.store.heads()]
            if number in numbers:
                raise AuditError(self._finding("audit-record-missing", number, first=number, last=number).problem)
            last = max(numbers, default=0)
            raise AuditError(Problem("audit-no-such-run", self._place(number), {"number": number, "last": last}))
        faults = [finding.problem for finding in self._faults_of(stored)]
        if faults:
            raise AuditError(faults)
        if not stored.hash.startswith(hash_.lower()):
            raise AuditError(
                self._finding("audit-head-differs", number, number=number, now=stored.hash, kept=hash_).problem
            )
        return Recorded(number, stored.hash, RunRecord(_head(stored, self.store.shown), json.loads(stored.content)))

    def kept(self, digest: str) -> bytes | None:
        """The bytes of a kept file, or None where it was not kept or is not what it was."""
        data = self.store.file(digest)
        return data if data is not None and _is_intact(digest, data) else None

    # Verifying

    def verify(self, heads: Iterable[tuple[int, str]] = ()) -> list[Finding]:
        """Everything that is not as it was written; `heads` are numbers and hashes that were kept elsewhere.

        Codes: `audit-record-changed`, `audit-record-missing`, `audit-record-moved`, `audit-link-broken`,
        `audit-witness-missing`, `audit-file-changed`, `audit-file-missing`, `audit-head-differs`,
        `audit-guard-missing`.
        """
        witnesses = dict(self.store.heads())
        place_of = {hash_: number for number, hash_ in witnesses.items()}
        found: list[Finding] = []
        kept: Counter[str] = Counter()
        hashes: dict[int, str] = {}
        last, last_hash = 0, GENESIS
        for stored in self.store.records():
            number = stored.number
            if number > last + 1:
                found.append(self._finding("audit-record-missing", last + 1, first=last + 1, last=number - 1))
            faults = list(self._faults_of(stored))
            belongs = place_of.get(stored.hash)
            if faults and belongs is not None and belongs != number:
                faults = [self._finding("audit-record-moved", number, number=number, belongs=belongs)]
            elif witnesses.get(number, stored.hash) != stored.hash:
                faults = [self._finding("audit-record-changed", number, part_zh="哈希", part="hash")]
            before = witnesses.get(number - 1, last_hash)  # the witness tells which of two neighbours was changed
            if not faults and number == last + 1 and stored.previous != before:
                faults = [self._finding("audit-link-broken", number, number=number, before=number - 1)]
            if number not in witnesses:
                faults.append(self._finding("audit-witness-missing", number, number=number))
            found += faults
            hashes[number] = stored.hash
            last, last_hash = number, stored.hash
            kept.update(_kept_by(stored))
        beyond = [number for number in witnesses if number > last]
        if beyond:
            found.append(self._finding("audit-record-missing", last + 1, first=last + 1, last=max(beyond)))
        for number, hash_ in heads:
            if hashes.get(number) != hash_.lower():
                now = hashes.get(number, "—")
                found.append(self._finding("audit-head-differs", number, number=number, now=now, kept=hash_))
        return found + self._verify_files(kept) + self._verify_guards()

    def _verify_files(self, kept: Counter[str]) -> list[Finding]:
        found = []
        for digest, data in self.store.files():
            kept.pop(digest, None)
            if data is None or not _is_intact(digest, data):
                found.append(self._finding("audit-file-changed", None, digest=digest))
        return found + [self._finding("audit-file-missing", None, digest=digest) for digest in sorted(kept)]

    def _verify_guards(self) -> list[Finding]:
        missing = self.store.missing_guards()
        return [self._finding("audit-guard-missing", None, guards=missing)] if missing else []

    def _place(self, number: int | None) -> Location:
        return Location(self.store.shown, path=None if number is None else f"#{number}")

    def _finding(self, code: str, about: int | None, **fields: object) -> Finding:
        return Finding(about, Problem(code, self._place(about), fields))

    def _faults_of(self, stored: Stored) -> Iterator[Finding]:
        """What a record shows by itself."""
        if chain_hash(stored.number, stored.previous, stored.head) != stored.hash:
            yield self._finding("audit-record-changed", stored.number, part_zh="抬头或哈希", part="head or hash")
            return
        if digest_of(stored.content) != _parsed(stored.head).get("content"):
            yield self._finding("audit-record-changed", stored.number, part_zh="事实或结论", part="facts or outcomes")


def _head(stored: Stored, shown: str) -> dict[str, Any]:
    """A record's head as plain data; one that lacks what every head has is a changed record."""
    found = _parsed(stored.head)
    if not found.keys() >= {"kind", "at", "pack", "engine", "as_of", "inputs", "counts", "readings"}:
        place = Location(shown, path=f"#{stored.number}")
        raise AuditError(Problem("audit-record-changed", place, {"part_zh": "抬头", "part": "head"}))
    return found


def _parsed(head: str) -> dict[str, Any]:
    """A head as it is found; a changed one may be anything."""
    try:
        found = json.loads(head)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _kept_by(stored: Stored) -> list[str]:
    found = _parsed(stored.head).get("kept")
    return [str(digest) for digest in found] if isinstance(found, list) else []


def _is_intact(digest: str, data: bytes) -> bool:
    if not digest.startswith(PACK_PREFIX):
        return digest_of(data) == digest
    try:
        return PACK_PREFIX + _pack_digest(json.loads(data)) == digest
    except (ValueError, AttributeError):
        return False


# Making a record


def record_of(
    pack: Pack,
    submission: SubmissionLike,
    checked: Checked,
    as_of: date | None,
    readings: Readings | None,
    *,
    files: Sequence[Path] = (),
    options: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> RunRecord:
    """The record of a `check`.

    `files` are those that were read; `options` what else the run was given (`record`, `engine`); `at` the
    moment it is recorded, by default now. No outcome depends on that moment.
    """
    content = {
        "facts": submission_data(submission),
        "outcomes": outcomes_data(checked),
        "problems": [problem_data(item) for item in (*getattr(submission, "problems", ()), *checked.problems)],
    }
    counts = getattr(submission, "counts", None)
    summary = {
        "outcomes": dict(sorted(Counter(outcome.status for outcome in checked.outcomes).items())),
        "rows": None if counts is None else [counts.rows_in, counts.accepted, counts.rejected, counts.skipped],
    }
    return _record("check", pack, as_of, readings, files, options, at, summary, content)


def batch_record(
    pack: Pack,
    inputs: Sequence[Path],
    outputs: Sequence[Path],
    as_of: date | None,
    readings: Readings | None = None,
    *,
    counts: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> RunRecord:
    """The record of a `batch`: its rows stay in their files, which the record knows by digest.

    `counts` is the account of the rows; `options` what the run was given, enough to repeat it.
    """
    content = {"outputs": [_file(path)[0].to_plain() for path in outputs]}
    return _record("batch", pack, as_of, readings, inputs, options, at, dict(counts or {}), content)


def _record(
    kind: str,
    pack: Pack,
    as_of: date | None,
    readings: Readings | None,
    paths: Sequence[Path],
    options: Mapping[str, Any] | None,
    at: datetime | None,
    counts: Mapping[str, Any],
    content: Mapping[str, Any],
) -> RunRecord:
    read = [_file(path) for path in paths]
    kept: dict[str, bytes] = {}
    if sum(item.size for item, _ in read) <= KEEP_BYTES:
        kept = {item.digest: data for item, data in read if data is not None}
    packed = _packed(pack)
    if packed is not None:
        kept[PACK_PREFIX + pack.digest] = packed
    head = {
        "form": FORM,
        "kind": kind,
        "at": (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"),
        "engine": {"version": engine_version(), "digest": engine_digest()},
        "pack": {"id": pack.id, "version": pack.version, "digest": pack.digest},
        "as_of": as_of.isoformat() if as_of else None,
        "readings": {name: dict(chosen) for name, chosen in (readings or {}).items()},
        "options": dict(options or {}),
        "inputs": [item.to_plain() for item, _ in read],
        "kept": sorted(kept),
        "counts": counts,
    }
    return RunRecord(head, content, kept)


def _file(path: Path) -> tuple[InputFile, bytes | None]:
    """A file's digest, and its bytes where it is small enough to be kept."""
    total, size = hashlib.sha256(), 0
    kept: bytes | None = b""
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            total.update(block)
            size += len(block)
            kept = kept + block if kept is not None and size <= KEEP_BYTES else None
    return InputFile(str(path), total.hexdigest(), size), kept


@lru_cache(maxsize=1)
def engine_version() -> str:
    try:
        return metadata.version("hegui")
    except metadata.PackageNotFoundError:
        return "?"


@lru_cache(maxsize=1)
def engine_digest() -> str:
    """SHA-256 over the program's own source: two builds of one version can be told apart."""
    root = Path(__file__).resolve().parent.parent
    return _digest_of_files(
        {
            path.relative_to(root).as_posix(): path.read_bytes()
            for package in ("engine", "facts")
            for path in (root / package).rglob("*.py")
        }
    )


def _digest_of_files(files: Mapping[str, bytes]) -> str:
    total = hashlib.sha256()
    for name in sorted(files, key=PurePosixPath):
        total.update(f"{name}\0{len(files[name])}\0".encode())
        total.update(files[name])
    return total.hexdigest()


def _pack_digest(texts: Mapping[str, str]) -> str:
    """The digest of a pack from its files; the same as `Pack.digest`."""
    return _digest_of_files({name: text.encode() for name, text in texts.items()})


def _packed(pack: Pack) -> bytes | None:
    """The files that give the pack its meaning, as one JSON; None where they changed since it was loaded."""
    try:
        texts = {
            name.as_posix(): path.read_bytes().decode()
            for path in pack.folder.rglob("*.yaml")
            if (name := path.relative_to(pack.folder)).parts[0] not in ("cases", "examples")
        }
    except (OSError, UnicodeDecodeError):
        return None
    return canonical(texts).encode() if _pack_digest(texts) == pack.digest else None


def unpack(data: bytes, folder: Path) -> Path:
    """Write a kept pack's files below a folder, which `load_pack` can then read."""
    texts: dict[str, str] = json.loads(data)
    for name, text in texts.items():
        path = folder.joinpath(*(part for part in PurePosixPath(name).parts if part not in ("..", "/")))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return folder


WORDINGS: dict[str, Wording] = {
    "audit-no-such-run": Wording(
        "没有第 {number} 号运行记录（最后一号是 {last}）", "there is no run record {number} (the last is {last})"
    ),
    "audit-record-changed": Wording(
        "记录被改动：{part_zh}与其哈希不符", "the record was changed: {part} and hash do not agree"
    ),
    "audit-record-missing": Wording("第 {first}—{last} 号记录缺失", "records {first} to {last} are missing"),
    "audit-record-moved": Wording(
        "第 {number} 号位置上的是第 {belongs} 号记录", "at number {number} stands what is record {belongs}"
    ),
    "audit-link-broken": Wording(
        "第 {number} 号记录接不上第 {before} 号：其中之一被换过",
        "record {number} does not follow record {before}: one of them was replaced",
    ),
    "audit-witness-missing": Wording(
        "第 {number} 号记录在 audit_heads 里没有旁证", "record {number} has no witness in audit_heads"
    ),
    "audit-head-differs": Wording(
        "另存的第 {number} 号哈希 {kept} 与库中的 {now} 不符",
        "the hash kept elsewhere for record {number}, {kept}, is not the one found: {now}",
    ),
    "audit-file-changed": Wording("留存的文件 {digest} 被改动", "the kept file {digest} was changed"),
    "audit-file-missing": Wording("留存的文件 {digest} 缺失", "the kept file {digest} is missing"),
    "audit-guard-missing": Wording(
        "防改动的触发器缺失：{guards}", "triggers that refuse changes are missing: {guards}"
    ),
    "replay-other-pack": Wording(
        "第 {number} 号记录用的是规则包 {recorded}，给出的是 {given}",
        "record {number} used the pack {recorded}, this is {given}",
    ),
    "replay-not-possible": Wording("无法重算：{reason_zh}", "cannot be computed again: {reason}"),
}

register(WORDINGS)
