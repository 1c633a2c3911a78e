"""JSON text → the same located tree as YAML, with numbers kept as they were written.

The standard reader knows no places and lets the last of two equal keys win; officers and
integrators need both keys' lines. Numbers stay text, so nothing passes through a float.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from decimal import Decimal
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]  # the C string scanner

from engine.errors import FactError, Problem
from engine.source import Location
from engine.yamltree import Mapping, Node, Scalar, Sequence

MAX_DEPTH = 40
MAX_EXPONENT = 30

_BLANK = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_WORD = re.compile(r"true|false|null")


def parse_json(text: str, name: str = "") -> Node:
    """The tree of a JSON text.

    Errors (`FactError`, every duplicate key at once): `json-syntax`, `json-too-deep`, `duplicate-key`.
    """
    return _Parser(text, name).parse()


class _Parser:
    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.problems: list[Problem] = []
        self.lines: dict[int, str] = {}

    def parse(self) -> Node:
        node, position = self.value(self.skip(0), 0)
        position = self.skip(position)
        if position != len(self.text):
            raise self.error(position, "多余的内容", "text after the end")
        if self.problems:
            raise FactError(self.problems)
        return node

    def skip(self, position: int) -> int:
        match = _BLANK.match(self.text, position)
        return match.end() if match is not None else position

    def at(self, position: int, width: int = 1) -> Location:
        line = bisect_right(self.starts, position)
        start = self.starts[line - 1]
        column = position - start + 1
        if line not in self.lines:
            self.lines[line] = self.text[start : start + 400].split("\n")[0].rstrip("\r")
        shown = self.lines[line] if column <= 400 else None
        return Location(self.name, line, column, text=shown, width=width)

    def error(self, position: int, zh: str, en: str) -> FactError:
        problem = Problem("json-syntax", self.at(position), {"reason_zh": zh, "reason_en": en})
        return FactError([*self.problems, problem])

    def value(self, position: int, depth: int) -> tuple[Node, int]:
        if depth > MAX_DEPTH:
            raise FactError([*self.problems, Problem("json-too-deep", self.at(position), {"limit": MAX_DEPTH})])
        char = self.text[position : position + 1]
        if char == "{":
            return self.mapping(position, depth)
        if char == "[":
            return self.sequence(position, depth)
        if char == '"':
            return self.string(position)
        match = _NUMBER.match(self.text, position)
        if match is not None:
            return Scalar(_plain_number(match[0]), self.at(position, len(match[0]))), match.end()
        match = _WORD.match(self.text, position)
        if match is not None:
            return Scalar(match[0], self.at(position, len(match[0]))), match.end()
        if not char:
            raise self.error(position, "内容不完整", "the text ends too early")
        word = re.match(r"[-+\w.]+", self.text[position : position + 40])
        shown = word[0] if word is not None else char
        raise self.error(position, f"`{shown}` 不是 JSON 的值", f"`{shown}` is not a JSON value")

    def string(self, position: int) -> tuple[Scalar, int]:
        try:
            text, end = scanstring(self.text, position + 1, True)
        except JSONDecodeError as error:
            raise self.error(min(error.pos, len(self.text)), "字符串有误", error.msg) from None
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise self.error(position, "字符串有残缺的字符", "the string holds half a character")
        return Scalar(text, self.at(position, end - position), quoted=True), end

    def sequence(self, position: int, depth: int) -> tuple[Node, int]:
        at = self.at(position)
        items: list[Node] = []
        position = self.skip(position + 1)
        if self.text[position : position + 1] == "]":
            return Sequence((), at), position + 1
        while True:
            item, position = self.value(self.skip(position), depth + 1)
            items.append(item)
            position, done = self.separator(position, "]")
            if done:
                return Sequence(tuple(items), at), position

    def mapping(self, position: int, depth: int) -> tuple[Node, int]:
        at = self.at(position)
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, int] = {}
        position = self.skip(position + 1)
        if self.text[position : position + 1] == "}":
            return Mapping((), at), position + 1
        while True:
            position = self.skip(position)
            if self.text[position : position + 1] != '"':
                raise self.error(position, "这里应是用双引号括起的键", "a key in double quotes belongs here")
            key, position = self.string(position)
            position = self.skip(position)
            if self.text[position : position + 1] != ":":
                raise self.error(position, "键后面应是冒号", "a colon belongs after the key")
            value, position = self.value(self.skip(position + 1), depth + 1)
            if key.text in seen:
                self.problems.append(Problem("duplicate-key", key.at, {"key": key.text, "first": seen[key.text]}))
            else:
                seen[key.text] = key.at.line or 0
                entries.append((key, value))
            position, done = self.separator(position, "}")
            if done:
                return Mapping(tuple(entries), at), position

    def separator(self, position: int, closing: str) -> tuple[int, bool]:
        position = self.skip(position)
        char = self.text[position : position + 1]
        if char == closing:
            return position + 1, True
        if char != ",":
            raise self.error(position, f"这里应是逗号或 {closing}", f"a comma or {closing} belongs here")
        return position + 1, False


def _plain_number(text: str) -> str:
    """A number without exponent, where that is a reasonable number of digits."""
    mantissa, mark, exponent = text.lower().partition("e")
    if not mark or len(exponent) > 4 or abs(int(exponent)) > MAX_EXPONENT or len(mantissa) > 60:
        return text
    return format(Decimal(text), "f")
