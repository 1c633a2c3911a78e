"""Reading a located YAML tree: expected keys, shapes and simple values, every problem kept.

`Reader` wraps one mapping. Whatever is wrong is added to a shared list of problems and reading
goes on with a harmless stand-in, so that an author sees all faults of a file at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from engine.errors import PackError, Problem, nearest
from engine.expr import Expr, always
from engine.model import Text
from engine.parse import parse_expression
from engine.source import Location
from engine.values import Unreadable, read_date
from engine.yamltree import Mapping, Node, Scalar
from engine.yamltree import Sequence as NodeSequence


class Reader:
    """One mapping of a pack file. `where` names it in messages."""

    def __init__(self, node: Mapping, where: str, problems: list[Problem], known: Sequence[str] | None = None) -> None:
        self.node, self.where, self.problems = node, where, problems
        if known is not None:
            for key, _ in node:
                if key.text not in known:
                    self.report(
                        "unknown-key",
                        key.at,
                        key=key.text,
                        where=where,
                        known=list(known),
                        suggestion=nearest(key.text, known) or "",
                    )

    def report(self, code: str, at: Location, **fields: object) -> None:
        self.problems.append(Problem(code, at, fields))

    def has(self, key: str) -> bool:
        found = self.node.get(key)
        return found is not None and not (isinstance(found, Scalar) and found.is_null)

    def at(self, key: str) -> Location:
        found = self.node.get(key)
        return found.at if found is not None else self.node.at

    def need(self, key: str) -> Node | None:
        if not self.has(key):
            self.report("missing-key", self.node.at, where=self.where, key=key)
            return None
        return self.node.get(key)

    def shape(self, node: Node, zh: str, en: str) -> None:
        self.report("wrong-shape", node.at, what=self.where, expected=zh, expected_en=en)

    def text(self, key: str, default: str = "") -> str:
        """A plain text."""
        if not self.has(key):
            return default
        return self.scalar(self.node.get(key), default)

    def scalar(self, node: Node | None, default: str = "") -> str:
        if isinstance(node, Scalar):
            return node.text
        if node is not None:
            self.shape(node, "文字", "text")
        return default

    def words(self, key: str, fallback: str = "") -> Text:
        """A label in both languages: plain text, or `{zh: …, en: …}`."""
        return self.as_words(self.node.get(key), fallback) if self.has(key) else Text(fallback, fallback)

    def as_words(self, node: Node | None, fallback: str = "") -> Text:
        if isinstance(node, Scalar):
            return Text(node.text, fallback)
        if isinstance(node, Mapping):
            inner = Reader(node, self.where, self.problems, ("zh", "en"))
            return Text(inner.text("zh", inner.text("en")), inner.text("en", fallback))
        if node is not None:
            self.shape(node, "文字或 {zh, en}", "text or {zh, en}")
        return Text(fallback, fallback)

    def mapping(self, key: str) -> Iterable[tuple[Scalar, Node]]:
        """The entries of a mapping under a key; none where it is absent."""
        found = self.node.get(key) if self.has(key) else None
        if found is None:
            return ()
        if not isinstance(found, Mapping):
            self.shape(found, "键值表", "a mapping")
            return ()
        return tuple(found)

    def items(self, key: str) -> tuple[Node, ...]:
        """The items of a list under a key; a single value stands for a list of one."""
        found = self.node.get(key) if self.has(key) else None
        if found is None:
            return ()
        return found.items if isinstance(found, NodeSequence) else (found,)

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self.scalar(item) for item in self.items(key))

    def day(self, key: str) -> date | None:
        if not self.has(key):
            return None
        return self.as_date(self.node.get(key))

    def as_date(self, node: Node | None) -> date | None:
        text = self.scalar(node)
        try:
            return read_date(text, serials=False)
        except Unreadable:
            assert node is not None
            self.report("bad-value", node.at, value=text, expected="日期", expected_en="a date")
            return None

    def expression(self, node: Node | None) -> Expr:
        """An unchecked expression; a stand-in where it cannot be parsed."""
        if not isinstance(node, Scalar):
            if node is not None:
                self.shape(node, "表达式", "an expression")
            return always(True)
        try:
            return parse_expression(node.text, expression_place(node))
        except PackError as error:
            self.problems.extend(error.problems)
            return always(True)


def expression_place(node: Scalar) -> Location:
    """Where the text of a scalar begins: past an opening quote."""
    return (
        node.at.at(1)
        if node.quoted and node.at.text and node.at.text[(node.at.column or 1) - 1 :][:1] in "'\""
        else node.at
    )
