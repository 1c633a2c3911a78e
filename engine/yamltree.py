"""YAML text → a located tree. Scalars stay the text that was written.

Whether `0100`, `1:30`, `no` or `91532300E123` is a number, a code or a word is for the
field that reads it to say, so YAML's own guesses never apply. Duplicate keys are problems
with both places; anchors, aliases and tags are refused, so nothing can explode or construct.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from engine.dataclass import dataclass
from engine.errors import PackError, Problem, system_reason
from engine.source import Location

MAX_BYTES = 20_000_000
MAX_DEPTH = 40

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_UNKNOWN = frozenset(("", "~", "null"))


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text as written; `quoted` tells `"null"` from a plain null."""

    text: str
    at: Location
    quoted: bool = False

    @property
    def is_null(self) -> bool:
        return not self.quoted and self.text in _PLAIN_UNKNOWN


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    at: Location


@dataclass(frozen=True, slots=True)
class Mapping:
    entries: tuple[tuple[Scalar, Node], ...]
    at: Location
    index: dict[str, Node] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.index.update((key.text, value) for key, value in self.entries)

    def get(self, key: str) -> Node | None:
        return self.index.get(key)

    def key(self, name: str) -> Scalar | None:
        return next((key for key, _ in self.entries if key.text == name), None)

    def __iter__(self) -> Iterator[tuple[Scalar, Node]]:
        return iter(self.entries)


Node: TypeAlias = Scalar | Sequence | Mapping


def read_yaml(path: Path, shown: str | None = None) -> Node:
    """The tree of a YAML file.

    Errors (`PackError`): `unreadable-file`, `yaml-too-large`, `not-utf8`, and those of `parse_yaml`.
    """
    name = shown or str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PackError(
            Problem("unreadable-file", Location(name), {"path": name, **system_reason(error)})
        ) from None
    if len(data) > MAX_BYTES:
        raise PackError(Problem("yaml-too-large", Location(name), {"size": path.stat().st_size, "limit": MAX_BYTES}))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PackError(Problem("not-utf8", Location(name, line), {"offset": error.start})) from None
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str = "") -> Node:
    """The tree of a YAML text.

    Errors (`PackError`, every duplicate key at once): `yaml-syntax`, `yaml-too-deep`, `yaml-alias`,
    `yaml-tag`, `duplicate-key`.
    """
    return _Builder(text, name).build()


class _Builder:
    """Builds from parser events, so that an alias is refused before anything is expanded."""

    def __init__(self, text: str, name: str) -> None:
        self.name, self.text = name, text
        self.lines = text.splitlines()
        self.problems: list[Problem] = []

    def at(self, event: Any) -> Location:
        start, end = event.start_mark, event.end_mark
        line, column = start.line, start.column
        text = self.lines[line] if line < len(self.lines) else ""
        width = max(1, end.column - column) if end.line == line else 1
        return Location(self.name, line + 1, column + 1, text=text[:400], width=width)

    def build(self) -> Node:
        try:
            self.events = yaml.parse(self.text, Loader=_LOADER)
            node: Node | None = None
            for event in self.events:
                if isinstance(event, yaml.DocumentStartEvent):
                    if node is not None:
                        raise PackError(Problem("yaml-syntax", self.at(event), {"reason": "more than one document"}))
                    node = self.node(next(self.events), 0)
            if node is None:
                node = Mapping((), Location(self.name, 1, 1))
        except yaml.YAMLError as error:
            raise PackError([*self.problems, self._syntax(error)]) from None
        except RecursionError:
            raise PackError(Problem("yaml-too-deep", Location(self.name), {"limit": MAX_DEPTH})) from None
        if self.problems:
            raise PackError(self.problems)
        return node

    def _syntax(self, error: yaml.YAMLError) -> Problem:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).split("\n")[0]
        if mark is None:
            return Problem("yaml-syntax", Location(self.name), {"reason": reason})
        text = self.lines[mark.line] if mark.line < len(self.lines) else ""
        return Problem(
            "yaml-syntax", Location(self.name, mark.line + 1, mark.column + 1, text=text[:400]), {"reason": reason}
        )

    def node(self, event: Any, depth: int) -> Node:
        at = self.at(event)
        if depth > MAX_DEPTH:
            raise PackError(Problem("yaml-too-deep", at, {"limit": MAX_DEPTH}))
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            raise PackError(Problem("yaml-alias", at, {"name": anchor}))
        if getattr(event, "tag", None) not in (None, "!"):
            raise PackError(Problem("yaml-tag", at, {"tag": event.tag}))
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, at, quoted=event.style not in (None, ""))
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
                items.append(self.node(event, depth + 1))
            return Sequence(tuple(items), at)
        assert isinstance(event, yaml.MappingStartEvent), f"unexpected event {event}"
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, int] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            value = self.node(next(self.events), depth + 1)
            if not isinstance(key, Scalar):
                self.problems.append(
                    Problem("wrong-shape", key.at, {"what": "键 / a key", "expected": "文字", "expected_en": "text"})
                )
                continue
            if key.text in seen:
                self.problems.append(Problem("duplicate-key", key.at, {"key": key.text, "first": seen[key.text]}))
                continue
            seen[key.text] = key.at.line or 0
            entries.append((key, value))
        return Mapping(tuple(entries), at)
