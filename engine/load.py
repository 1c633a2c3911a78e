"""A rule pack on disk → `Pack`.

A pack is a folder: `pack.yaml`, `facts.yaml`, `parameters.yaml`, `provisions/*.yaml`,
`dossiers/*.yaml`, `cases/*.yaml`. Provision files are found by scanning for ids, and a provision
is read only when it is asked for, so that one case starts fast; `load_all` reads and checks
everything. The digest covers every file that gives the pack its meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingType
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import PackError, Problem, nearest
from engine.kinds import DeadlineFacts
from engine.model import Dossier, Field, Parameter, Provision, Text
from engine.read_fields import check_asked_when, read_field, read_parameter
from engine.read_provision import PackContext, read_provision
from engine.reader import Reader
from engine.source import Location
from engine.targets import TargetFacts
from engine.yamltree import Mapping, Node, Scalar, Sequence, read_yaml

if TYPE_CHECKING:
    from engine.outcome import Outcome

RULES = Path(__file__).resolve().parent.parent / "rules"
"""The packs that come with Hegui."""

PACK_KEYS = (
    "id",
    "label",
    "version",
    "issuer",
    "document",
    "title",
    "in_force",
    "reference_date",
    "plans",
    "deadline",
    "target",
    "periods",
)
_ID_LINE = re.compile(r"\n- +(?:\{ *)?id: *([^\s,}]+)")
"""Where a provision begins; with the end of the line before it this is found several times faster."""


def pack_names() -> list[str]:
    return sorted(path.parent.name for path in RULES.glob("*/pack.yaml"))


class Pack:
    """A loaded rule pack. Use `load_pack`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []
        header = Reader(self._mapping(folder / "pack.yaml"), "pack.yaml", self.problems, PACK_KEYS)
        for key in ("id", "version", "document"):
            header.need(key)
        self.id = header.text("id", folder.name)
        self.version = header.text("version")
        self.label: Text = header.words("label", self.id)
        self.title: Text = header.words("title")
        self.issuer = header.text("issuer")
        self.document = header.text("document")
        in_force = (
            Reader(found, "in_force", self.problems, ("from", "to"))
            if isinstance(found := header.node.get("in_force"), Mapping)
            else None
        )
        self.in_force = (in_force.day("from"), in_force.day("to")) if in_force else (None, None)
        self.reference_date: date | None = header.day("reference_date")
        self.plans = {key.text: header.scalar(value) for key, value in header.mapping("plans")}
        self.deadline = DeadlineFacts(**self._fact_names(header, "deadline", ("done", "done_on", "as_of")))
        self.target = TargetFacts(
            **self._fact_names(header, "target", ("indicator", "area", "period", "actual", "as_of"))
        )
        self.periods = {
            key.text: day for key, value in header.mapping("periods") if (day := header.as_date(value)) is not None
        }
        self.fields: dict[str, Field] = {
            key.text: read_field(key.text, value, self.problems) for key, value in self._entries("facts")
        }
        self.parameters: dict[str, Parameter] = {
            key.text: read_parameter(key.text, value, self.problems) for key, value in self._entries("parameters")
        }
        self._raise()
        self._context = PackContext(
            self.document, self.plans, self.fields, self.parameters, self.deadline, self.target, self.periods
        )
        self._files = self._index()
        self._provisions: dict[str, Provision] = {}
        self._dossiers: dict[str, Dossier] | None = None
        self._waiting: dict[Path, list[Node]] = {}
        self._proved = False

    def _fact_names(self, header: Reader, key: str, roles: tuple[str, ...]) -> dict[str, str]:
        """What the pack calls the facts of a kind of provision; the role's own name where it does not say."""
        found = header.node.get(key)
        inner = Reader(found, key, self.problems, roles) if isinstance(found, Mapping) else None
        return {role: inner.text(role, role) if inner else role for role in roles}

    # Files

    def _shown(self, path: Path) -> str:
        try:
            return str(path.relative_to(Path.cwd()))
        except (ValueError, OSError):  # elsewhere; or the folder we are in is gone
            return str(path)

    def _entries(self, name: str) -> list[tuple[Scalar, Node]]:
        """The entries of `<name>.yaml` and of every file under `<name>/`; a name given twice is a problem."""
        files = [self.folder / f"{name}.yaml", *sorted(self.folder.glob(f"{name}/*.yaml"))]
        found: dict[str, tuple[Scalar, Node]] = {}
        for path in files:
            for key, value in self._mapping(path) if path.exists() else ():
                if key.text in found:
                    self.problems.append(
                        Problem("duplicate-id", key.at, {"id": key.text, "first": str(found[key.text][0].at)})
                    )
                found.setdefault(key.text, (key, value))
        return list(found.values())

    def _mapping(self, path: Path) -> Mapping:
        name = path.name
        node = read_yaml(path, self._shown(path))
        if not isinstance(node, Mapping):
            raise PackError(
                Problem("wrong-shape", node.at, {"what": name, "expected": "键值表", "expected_en": "a mapping"})
            )
        return node

    def _index(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for path in sorted(self.folder.glob("provisions/**/*.yaml")):
            try:
                text = "\n" + path.read_bytes().decode("utf-8-sig")
            except (OSError, UnicodeDecodeError):
                read_yaml(path, self._shown(path))  # says what is wrong with it, and where
                raise
            for match in _ID_LINE.finditer(text):
                if match[1] in found:
                    line = text.count("\n", 0, match.start()) + 1
                    raise PackError(
                        Problem(
                            "duplicate-id",
                            Location(self._shown(path), line),
                            {"id": match[1], "first": self._shown(found[match[1]])},
                        )
                    )
                found[match[1]] = path
        return found

    def _raise(self) -> None:
        errors = [problem for problem in self.problems if problem.severity == "error"]
        if errors:
            raise PackError(errors)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over every file of the pack that gives it meaning (not its cases and examples)."""
        import hashlib

        total = hashlib.sha256()
        for path in sorted(self.folder.rglob("*.yaml")):
            name = path.relative_to(self.folder)
            if name.parts[0] not in ("cases", "examples", "explained.yaml"):
                data = path.read_bytes()
                total.update(f"{name.as_posix()}\0{len(data)}\0".encode())
                total.update(data)
        return total.hexdigest()

    # Provisions

    @property
    def ids(self) -> list[str]:
        """Every provision's id, in the order of the files."""
        return list(self._files)

    def has(self, identity: str) -> bool:
        return identity in self._files

    def provision(self, identity: str) -> Provision:
        """One provision, read where that was not done yet.

        Errors (`PackError`): `unknown-provision`; every problem of the provision, or of its file where
        that cannot be parsed.
        """
        if identity not in self._provisions and identity in self._files:
            self._load(self._files[identity], identity)
            self._raise()
        if identity not in self._provisions:
            raise PackError(
                Problem(
                    "unknown-provision", fields={"id": identity, "suggestion": nearest(identity, self._files) or ""}
                )
            )
        return self._provisions[identity]

    def find(self, identity: str) -> Provision | None:
        """One provision, or None where the pack has none of that id."""
        return self.provision(identity) if identity in self._files else None

    def evaluate(
        self,
        identity: str,
        inputs: MappingType[str, Any],
        as_of: date | str | None = None,
        readings: MappingType[str, int] | None = None,
        subject: str = "",
    ) -> Outcome:
        """What a provision comes to for raw inputs; see `assessing.evaluate_provision`."""
        from engine.assessing import evaluate_provision

        return evaluate_provision(self, identity, inputs, as_of, readings, subject)

    def _load(self, path: Path, identity: str | None = None) -> None:
        """Read a file's provisions, or the one named; the others wait, parsed, until they are asked for."""
        if path not in self._waiting:
            self._waiting[path] = []  # a file that cannot be parsed is a problem once
            try:
                node = read_yaml(path, self._shown(path))
            except PackError as error:
                self.problems.extend(error.problems)
                return
            self._waiting[path] = list(node.items) if isinstance(node, Sequence) else [node]
        waiting = self._waiting[path]
        chosen = waiting if identity is None else [item for item in waiting if _id_of(item) == identity]
        self._waiting[path] = [] if identity is None else [item for item in waiting if _id_of(item) != identity]
        for item in chosen:
            provision = read_provision(item, self._context, self.problems)
            if provision is not None:
                self._provisions[provision.id] = provision

    def load_all(self) -> Pack:
        """Read and check everything. Errors (`PackError`): every problem of every file."""
        check_asked_when(self.fields, [])
        for path in sorted(set(self._files.values()) | set(self.folder.glob("provisions/**/*.yaml"))):
            self._load(path)
        self._raise()
        self._prove()
        _ = self.dossiers
        return self

    def _prove(self) -> None:
        """Every provision, and every way to read it, stays within 64-bit integers over its declared bounds."""
        from engine.normal import normal_form

        if self._proved:
            return
        for provision in self._provisions.values():
            variants = [other.variant for reading in provision.readings for other in reading.alternatives]
            for version in (provision, *(variant for variant in variants if variant is not None)):
                on = self.reference_date
                parameters = {name: item.on(on) if on else None for name, item in version.parameters.items()}
                try:
                    normal_form(version, parameters)
                except PackError as error:
                    self.problems.extend(problem for problem in error.problems if problem not in self.problems)
        self._raise()
        self._proved = True

    @property
    def provisions(self) -> dict[str, Provision]:
        """All provisions by id, in the order of the files."""
        self.load_all()
        return {identity: self._provisions[identity] for identity in self._files}

    @property
    def dossiers(self) -> MappingType[str, Dossier]:
        """The dossiers in which related facts are submitted."""
        if self._dossiers is None:
            from engine.read_dossier import read_dossier

            found: dict[str, Dossier] = {}
            for path in sorted(self.folder.glob("dossiers/*.yaml")):
                try:
                    node = read_yaml(path, self._shown(path))
                    dossier = read_dossier(node, self.fields, self.find, self.problems)
                except PackError as error:
                    self.problems.extend(problem for problem in error.problems if problem not in self.problems)
                    continue
                if dossier is not None:
                    found[dossier.id] = dossier
            self._raise()
            self._dossiers = found
        return self._dossiers


def _id_of(node: Node) -> str | None:
    found = node.get("id") if isinstance(node, Mapping) else None
    return found.text if isinstance(found, Scalar) else None


def load_pack(name: str | Path = "chuxiong_2019") -> Pack:
    """A pack by name (one that comes with Hegui) or by the path of its folder.

    Errors (`PackError`): `unknown-pack`, and whatever is wrong with its header, facts or parameters.
    """
    for folder in (Path(name), RULES / str(name)):
        if (folder / "pack.yaml").is_file():
            return Pack(folder)
    raise PackError(
        Problem(
            "unknown-pack",
            fields={"name": str(name), "known": pack_names(), "suggestion": nearest(str(name), pack_names()) or ""},
        )
    )
