"""Problems: what happened, where, and what to do, in Chinese and English.

A broken input yields a list of problems; the exceptions here stop work that cannot go on
and carry that list. Wording lives in one table per package so that it can be read together;
code that finds a problem names a code and the fields the wording needs.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from engine.dataclass import dataclass
from engine.source import NOWHERE, Location

Lang = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Wording:
    """The sentence for one code, and what to do about it, as `str.format` templates."""

    zh: str
    en: str
    help_zh: str = ""
    help_en: str = ""


_WORDINGS: dict[str, Wording] = {}


def register(wordings: Mapping[str, Wording]) -> None:
    """Add a package's codes; a code belongs to one package only."""
    for code, wording in wordings.items():
        assert _WORDINGS.get(code, wording) == wording, f"problem code {code} has two wordings"
        _WORDINGS[code] = wording


def known_codes() -> list[str]:
    """Every registered code, for documentation and tests."""
    return sorted(_WORDINGS)


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault found in a pack, a file or a case.

    `code` is stable and kebab-case; `fields` are the values its wording needs, which
    JSON output and tests read instead of the sentence. `severity` is `error`
    (the thing cannot be used) or `warning` (it was used, and someone should look).
    """

    code: str
    location: Location = NOWHERE
    fields: Mapping[str, Any] = field(default_factory=dict)
    severity: Literal["error", "warning"] = "error"

    def message(self, lang: Lang = "zh") -> str:
        wording = _WORDINGS[self.code]
        return (wording.zh if lang == "zh" else wording.en).format_map(_Clipped(self.fields, lang))

    def help(self, lang: Lang = "zh") -> str:
        wording = _WORDINGS[self.code]
        text = (wording.help_zh if lang == "zh" else wording.help_en).format_map(_Clipped(self.fields, lang))
        suggestion = self.fields.get("suggestion")
        if suggestion:
            hint = f"是不是 `{suggestion}`？" if lang == "zh" else f"did you mean `{suggestion}`?"
            text = f"{hint} {text}".strip()
        return text

    def render(self, lang: Lang = "zh") -> str:
        """Place, code, message, the source line underlined, and help."""
        place = str(self.location)
        lines = [f"{place}: {self.code}: {self.message(lang)}" if place else f"{self.code}: {self.message(lang)}"]
        snippet = self.location.snippet()
        if snippet:
            lines.append(snippet)
        text = self.help(lang)
        if text:
            lines.append(("建议: " if lang == "zh" else "help: ") + text)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "place": str(self.location),
            "message": {"zh": self.message("zh"), "en": self.message("en")},
            "help": {"zh": self.help("zh"), "en": self.help("en")},
            "fields": {
                key: value if isinstance(value, (int, str, bool)) else str(value) for key, value in self.fields.items()
            },
        }


class _Clipped(dict[str, Any]):
    """Fields as shown: a megabyte of text in a cell must not flood the screen."""

    def __init__(self, fields: Mapping[str, Any], lang: Lang) -> None:
        super().__init__({key: clip(value, separator="、" if lang == "zh" else ", ") for key, value in fields.items()})

    def __missing__(self, key: str) -> str:
        raise AssertionError(f"a problem's wording needs the field `{key}`")


def clip(value: Any, limit: int = 80, separator: str = "、") -> str:
    """A value on one line, cut where it is too long to read and with control characters shown."""
    if isinstance(value, (list, tuple, set, frozenset)):
        text = separator.join(str(item) for item in value)
        limit = 400
    else:
        text = str(value)
    text = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text[: limit + 1])
    return text if len(text) <= limit else text[:limit] + "…"


class HeguiError(Exception):
    """Base of the exceptions that stop work; carries every problem found so far."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: list[Problem] = [problems] if isinstance(problems, Problem) else list(problems)
        assert self.problems, "an error without a problem says nothing"
        super().__init__(self.problems[0].render("en"))

    def render(self, lang: Lang = "zh") -> str:
        return "\n\n".join(problem.render(lang) for problem in self.problems)


class PackError(HeguiError):
    """A rule pack that cannot be used."""


class FactError(HeguiError):
    """Facts that cannot be read."""


class EvaluationError(HeguiError):
    """An evaluation that must not give a figure: evaluators disagree, or a date lies outside the calendar."""


_REASONS = {
    errno.ENOSPC: ("磁盘已满", "no space left on the disk"),
    errno.EACCES: ("没有权限", "permission denied"),
    errno.EROFS: ("磁盘只读", "the disk is read-only"),
    errno.ENOENT: ("没有这个文件或文件夹", "there is no such file or folder"),
    errno.ENOTDIR: ("路径中有一段是文件", "a part of the path is a file"),
    errno.EISDIR: ("是文件夹", "is a folder"),
    errno.ENAMETOOLONG: ("文件名太长", "the name is too long"),
}


def system_reason(error: OSError | ValueError) -> dict[str, str]:
    """Why the system cannot read or write a file, as a problem's fields `reason_zh` and `reason`.

    In both languages where it is a common reason; Polars tells the system's number in its message only.
    """
    number = getattr(error, "errno", None)
    told = getattr(error, "strerror", None) or str(error)
    known = (words for code, words in _REASONS.items() if number == code or f"(os error {code})" in str(error))
    zh, en = next(known, (told, told))
    return {"reason_zh": zh, "reason": en}


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate a writer most probably meant, or None."""
    import difflib

    close: Sequence[str] = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return close[0] if close else None


register(
    {
        # expressions
        "expression-too-long": Wording(
            "表达式有 {length} 个字符，最多 {limit} 个",
            "the expression has {length} characters, at most {limit} are allowed",
            "拆成几个 let 再组合",
            "split it into several `let` definitions",
        ),
        "expression-too-deep": Wording(
            "表达式嵌套超过 {limit} 层",
            "the expression is nested more than {limit} levels deep",
            "拆成几个 let 再组合",
            "split it into several `let` definitions",
        ),
        "expression-syntax": Wording(
            "表达式无法解析：{reason}",
            "the expression cannot be parsed: {reason}",
            "写法见 docs/language.md",
            "docs/language.md shows the forms",
        ),
        "expression-not-allowed": Wording(
            "规则语言不允许 {what}",
            "{what} is not part of the rule language",
            "允许的写法：{allowed}",
            "allowed: {allowed}",
        ),
        "unknown-name": Wording(
            "`{name}` 既不是事实、参数，也不是 let 定义",
            "`{name}` is neither a fact, a parameter nor a `let`",
            "可用的名称：{known}",
            "known names: {known}",
        ),
        "unknown-function": Wording(
            "没有函数 `{name}`", "there is no function `{name}`", "可用的函数：{known}", "functions: {known}"
        ),
        "wrong-arguments": Wording(
            "`{name}` 需要 {expected}，给出的是 {found}", "`{name}` takes {expected}, got {found}"
        ),
        "unknown-enum-value": Wording(
            "`{value}` 不是该枚举的取值",
            "`{value}` is not a value of this enumeration",
            "取值：{known}",
            "values: {known}",
        ),
        "type-mismatch": Wording(
            "{operation}：左边是 {left}，右边是 {right}",
            "{operation}: the left side is {left}, the right side is {right}",
            "{hint}",
            "{hint}",
        ),
        "wrong-type": Wording(
            "{what} 应为 {expected}，这里是 {found}", "{what} must be {expected}, this is {found}", "{hint}", "{hint}"
        ),
        "division-by-zero": Wording("`{expression}` 除以零", "`{expression}` divides by zero"),
        "divisor-may-be-negative": Wording(
            "除数 `{expression}` 可能为负（{low}）",
            "the divisor `{expression}` may be negative ({low})",
            "给相关事实写上 min",
            "declare a `min` for the facts it reads",
        ),
        "too-wide": Wording(
            "`{expression}` 的取值范围 {low}..{high} 超出 {bits} 位整数",
            "`{expression}` ranges over {low}..{high}, beyond {bits} bit integers",
            "收紧相关事实的 min/max，或改写表达式",
            "tighten the bounds of the facts it reads, or rewrite it",
        ),
        # packs
        "yaml-syntax": Wording("YAML 无法解析：{reason}", "the YAML cannot be parsed: {reason}"),
        "yaml-too-large": Wording(
            "文件有 {size} 字节，最多 {limit}", "the file has {size} bytes, at most {limit} are read"
        ),
        "yaml-too-deep": Wording("嵌套超过 {limit} 层", "nested more than {limit} levels deep"),
        "yaml-alias": Wording(
            "不接受锚点和别名（`&{name}`、`*{name}`）",
            "anchors and aliases (`&{name}`, `*{name}`) are not accepted",
            "把内容写两遍",
            "write the content out",
        ),
        "yaml-tag": Wording("不接受标签 `{tag}`", "the tag `{tag}` is not accepted", "写普通文字", "write plain text"),
        "not-utf8": Wording(
            "文件不是 UTF-8 编码（第 {offset} 字节）",
            "the file is not UTF-8 (byte {offset})",
            "另存为 UTF-8",
            "save it as UTF-8",
        ),
        "duplicate-key": Wording(
            "键 `{key}` 写了两次，前一次在第 {first} 行",
            "the key `{key}` is given twice, first on line {first}",
            "删去一个",
            "remove one",
        ),
        "unknown-key": Wording(
            "`{key}` 不是 {where} 的键", "`{key}` is not a key of {where}", "可用的键：{known}", "keys: {known}"
        ),
        "missing-key": Wording("{where} 缺少 `{key}`", "{where} lacks `{key}`"),
        "wrong-shape": Wording("{what} 应为{expected}", "{what} must be {expected_en}"),
        "bad-value": Wording("`{value}` 不是{expected}", "`{value}` is not {expected_en}"),
        "duplicate-id": Wording("`{id}` 定义了两次，前一次在 {first}", "`{id}` is defined twice, first at {first}"),
        "unknown-pack": Wording(
            "没有规则包 `{name}`", "there is no rule pack `{name}`", "现有：{known}", "there are: {known}"
        ),
        "unknown-provision": Wording(
            "规则包里没有条款 `{id}`",
            "the pack has no provision `{id}`",
            "按名称找：hegui rules list 词",
            "find it by its words: hegui rules list WORD",
        ),
        "unknown-record": Wording(
            "没有记录类型 `{name}`", "there is no record type `{name}`", "现有：{known}", "there are: {known}"
        ),
        "system-error": Wording("系统不允许（{path}）：{reason_zh}", "the system does not allow it ({path}): {reason}"),
        "unwritable-file": Wording(
            "写不了 {path}：{reason_zh}",
            "{path} cannot be written: {reason}",
            "看文件夹是否存在、能否写入、磁盘是否已满",
            "see whether its folder exists, can be written to, and the disk has room",
        ),
        "output-is-input": Wording(
            "结果会写到输入上：{path}",
            "the results would be written over the input: {path}",
            "换一个文件名或文件夹",
            "use another name or folder",
        ),
        "unreadable-file": Wording(
            "读不了 {path}：{reason_zh}",
            "{path} cannot be read: {reason}",
            "看文件是否完整、能否读取；用原来的程序打开再另存",
            "see whether it is whole and may be read; open it where it came from and save it again",
        ),
        "part-missing": Wording(
            "没有安装 {module}",
            "{module} is not installed",
            "pip install 'hegui[{extra}]'",
            "pip install 'hegui[{extra}]'",
        ),
        "engine-unavailable": Wording(
            "引擎 {engine} 启动不了：{reason}",
            "the engine {engine} does not start: {reason}",
            "Spark 需要 Java；检查 --master 的地址，或改用 --engine polars",
            "Spark needs Java; check the address of --master, or use --engine polars",
        ),
        # tables
        "table-overlap": Wording(
            "命中策略 {policy} 不允许的重叠：第 {first} 行与第 {second} 行同时命中 {case}",
            "hit policy {policy} forbids that rows {first} and {second} both match {case}",
            "改写边界，或把命中策略改为 first",
            "change a bound, or use the hit policy first",
        ),
        "table-gap": Wording(
            "没有一行命中 {case}", "no row matches {case}", "补一行，或写 default", "add a row, or give a default"
        ),
        "table-row-unreachable": Wording(
            "第 {row} 行永远不会命中",
            "row {row} can never match",
            "删去该行或改写前面的行",
            "remove it, or change a row above",
        ),
        "table-too-large": Wording(
            "表太大，无法在加载时检查（{cases} 种组合）",
            "the table is too large to check when it loads ({cases} combinations)",
            "拆成两张表",
            "split it in two",
        ),
        # facts given to a provision
        "unknown-fact": Wording(
            "条款 {provision} 没有事实 `{name}`",
            "provision {provision} has no fact `{name}`",
            "它的事实：{known}",
            "its facts: {known}",
        ),
        "bad-fact": Wording("事实 `{name}`：{reason_zh}", "fact `{name}`: {reason_en}"),
        "bad-as-of": Wording(
            "基准日 `{value}` 不是日期",
            "the assessment date `{value}` is not a date",
            "写成 2019-12-31",
            "write it as 2019-12-31",
        ),
        # evaluation
        "calendar-gap": Wording(
            "{date} 超出已公布的放假安排（{first}—{last}）",
            "{date} lies outside the published holiday notices ({first} to {last})",
            "等国务院公布该年放假通知后更新 chinesecalendar",
            "update chinesecalendar once the notice for that year is published",
        ),
        "no-such-date": Wording(
            "`{expression}` 算不出日期（{values}）",
            "`{expression}` comes to no date ({values})",
            "检查年、月、日或天数",
            "check the year, month, day or number of days",
        ),
        "evaluators-disagree": Wording(
            "两个求值器结论不一致：条款 {provision}，{left_name} 得 {left}，{right_name} 得 {right}",
            "two evaluators disagree on {provision}: {left_name} says {left}, {right_name} says {right}",
            "请勿使用此结果，并保留该案例",
            "do not use this result, and keep the case",
        ),
        "unknown-reading": Wording(
            "条款 {provision} 没有读法 `{reading}`",
            "provision {provision} has no reading `{reading}`",
            "现有：{known}",
            "there are: {known}",
        ),
    }
)
