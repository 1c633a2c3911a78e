"""What is fuzzed, and how inputs are changed at random. No assertions about single inputs here.

A target takes bytes and does with them what the program does with a file or a cell. Whatever it meets,
it may only answer with problems of ours; any other exception is a crash. `Mutator` changes inputs that
are nearly right, which gets further than noise; coverage-guided fuzzing (atheris), where it is
installed, takes the same targets.
"""

from __future__ import annotations

import io
import json
import random
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from engine import Pack, load_pack
from engine.check import Scope, check
from engine.checking import check_submission
from engine.errors import HeguiError, PackError, Problem
from engine.evaluate.python import Facts, evaluate
from engine.expr import show
from engine.load import RULES
from engine.parse import parse_expression
from engine.read_provision import read_provision
from engine.types import BOOLEAN, DATE, MONEY, NUMBER, RATIO, TEXT, Kind, Type
from engine.values import Unreadable, read_value
from engine.yamltree import Sequence, parse_yaml
from facts.cells import reader_for
from facts.reading import read_facts
from strategies import CONTEXT

PACK = "chuxiong_2019"
LEVEL = Type(Kind.ENUM, values=("national", "provincial"))
TYPES = {"m": MONEY, "r": RATIO, "n": NUMBER, "d": DATE, "b": BOOLEAN, "t": TEXT, "level": LEVEL}
SCOPE = Scope(TYPES, dict.fromkeys(TYPES, "fact"))


@lru_cache(maxsize=1)
def pack() -> Pack:
    return load_pack(PACK).load_all()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode("utf-8")


def _rendered(problems: Iterable[Problem]) -> None:
    """Every problem can be shown, in both languages and as data."""
    for problem in problems:
        assert problem.render("zh")
        assert problem.render("en")
        json.dumps(problem.to_dict())


# Targets


def fuzz_expression(data: bytes) -> None:
    """A rule's expression: read, checked, evaluated with nothing known, printed and read again."""
    try:
        tree = check(parse_expression(_text(data)), SCOPE)
        evaluate(tree, Facts(dict.fromkeys(TYPES)))
        text = show(tree)
        assert show(check(parse_expression(text), SCOPE)) == text
    except HeguiError as error:
        _rendered(error.problems)


def fuzz_provision(data: bytes) -> None:
    """A provision file of a pack."""
    problems: list[Problem] = []
    try:
        node = parse_yaml(_text(data), "fuzz.yaml")
    except PackError as error:
        _rendered(error.problems)
        return
    for item in node.items if isinstance(node, Sequence) else (node,):
        try:
            read_provision(item, CONTEXT, problems)
        except PackError as error:
            problems += error.problems
    _rendered(problems)


def fuzz_pack(data: bytes) -> None:
    """A whole pack: its header, facts, parameters, provisions and dossiers in one file, by `---`."""
    names = ("pack.yaml", "facts.yaml", "parameters.yaml", "provisions/all.yaml", "dossiers/all.yaml")
    with tempfile.TemporaryDirectory(prefix="hegui-fuzz-") as folder:
        for name, part in zip(names, data.split(b"\n---\n"), strict=False):
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(part)
        try:
            load_pack(folder).load_all()
        except HeguiError as error:
            _rendered(error.problems)


def _file(suffix: str) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        with tempfile.NamedTemporaryFile(suffix=suffix, prefix="hegui-fuzz-") as file:
            file.write(data)
            file.flush()
            submission = read_facts([file.name], dossiers=pack().dossiers, provision=pack().find)
        counts = submission.counts
        assert counts.rows_in == counts.accepted + counts.rejected + counts.skipped
        _rendered(submission.problems)
        if len(submission.cases) + len(submission.flat) <= 20:
            found = check_submission(pack(), submission, pack().reference_date, "reference")
            _rendered(found.problems)

    return target


def fuzz_cell(data: bytes) -> None:
    """A cell read as every type, in the way of forms and in the way of sheets, as text and as a number."""
    text = _text(data)
    raws: list[object] = [text]
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        raws += [number, Decimal(repr(number))]
    for raw in raws:
        for of in (*TYPES.values(), Type(Kind.QUANTITY, "人", integer=True)):
            try:
                read_value(raw, of, {Kind.QUANTITY: "人", Kind.MONEY: "万元"}.get(of.kind))
            except Unreadable:
                continue
        for field in _fields():
            try:
                reader_for(field)(raw, None)
            except Unreadable:
                continue


@lru_cache(maxsize=1)
def _fields() -> list[Any]:
    """One field of each type of the pack's."""
    found: dict[Any, Any] = {}
    for provision in pack().provisions.values():
        for field in provision.facts.values():
            found.setdefault((field.type.kind, field.type.integer, field.unit), field)
    return list(found.values())


TARGETS: dict[str, Callable[[bytes], None]] = {
    "expression": fuzz_expression,
    "cell": fuzz_cell,
    "provision": fuzz_provision,
    "pack": fuzz_pack,
    "csv": _file(".csv"),
    "json": _file(".json"),
    "yaml": _file(".yaml"),
    "xlsx": _file(".xlsx"),
}


# What inputs grow from

_EXPRESSIONS = (
    "m >= 500万元 and r < 85%", "min(m, 2‰ * 2.5亿元) * r", "workdays_after(d, 5) <= 2019-05-09",
    "level in (national, provincial) and not b", "(m / 3 if b else 0元) > 1,000元", "t == '甲'", "1元 < m <= 2元",
    "round_half_up(n / 7, 2) != 0.5", "is_known(m) or months_after(d, 2) > next_workday(d)", "floor(-n) + abs(n)",
)  # fmt: skip
_CELLS = (
    "1,200.50", "１２０", "85％", "2‰", "1.2亿", "849.999999万元", "(300)", "2019年3月22日", "2019/3/22", "43624", "是", "—",
    "12人", "3个", "¥1,000元整", "百分之85", "1e5", "-0.5", "0100", "1:30", "1亿2000万", "nan", "-Infinity", "20190322",
)  # fmt: skip
_CSV = (
    "部门名称,争取资金任务(万元),实际争取资金,下年度公用经费\n财政局,1000,849,200\n合计,1,1,1\n\n教育局,—,,\n",
    "序号,企业名称,是否州内注册\n1,甲公司,是\n",
    '"文号";"收文日期";"资金性质"\n楚财1号;2019-04-30;已明确\n',
)
_TREES: tuple[Any, ...] = (
    {"provision": "fiscal.budget_cut.fundraising_shortfall",
     "inputs": {"has_task": True, "task_amount": "1000万元", "raised_amount": 8490000.0}, "as_of": "2019-12-31"},
    {"dossier": "departments", "department": {"department_name": "财政局", "task_amount": 1}},
    [{"department_name": "财政局", "task_amount": "1"}, {"department_name": "教育局"}],
    {"department": [{"部门名称": "财政局"}], "as_of": "2019-12-31"},
)  # fmt: skip


@cache
def corpus(target: str) -> tuple[bytes, ...]:
    """Inputs that are right, to begin with."""
    match target:
        case "expression":
            return tuple(text.encode() for text in _EXPRESSIONS)
        case "cell":
            return tuple(text.encode() for text in _CELLS)
        case "csv":
            return (*(text.encode() for text in _CSV), _CSV[0].encode("gb18030"), _CSV[0].encode("utf-16"))
        case "json" | "yaml":
            trees = [json.dumps(tree, ensure_ascii=False) for tree in _TREES]
            if target == "yaml":
                import yaml

                trees += [yaml.safe_dump(tree, allow_unicode=True) for tree in _TREES]
            return tuple(text.encode() for text in trees)
        case "xlsx":
            return tuple(path.read_bytes() for path in sorted((RULES / PACK / "examples").glob("*.xlsx")))[:3]
        case "provision":
            return tuple(path.read_bytes()[:6000] for path in sorted((RULES / PACK).glob("provisions/**/*.yaml")))
    folder = RULES / PACK
    header = (folder / "pack.yaml").read_bytes()
    provisions = sorted(folder.glob("provisions/**/*.yaml"))
    parts = [header, (folder / "facts.yaml").read_bytes(), b"cap: {type: money, values: {2019-01-01: 5}}",
             provisions[0].read_bytes()[:3000], (folder / "dossiers" / "departments.yaml").read_bytes()]  # fmt: skip
    return (b"\n---\n".join(parts),)


_PIECES = (
    b"(", b")", b"[", b"]", b"{", b"}", b'"', b"'", b",", b":", b"&", b"*", b"!", b"|", b">", b"#", b"-", b"\n", b"\r",
    b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"0", b"9" * 40, b"-1", b"1e999", b"NaN", b"null", "万元".encode(),
    "％".encode(), "—".encode(), b"if", b"else", b" and ", b" or ", b"not ", b"\\", b"\\u", b"<", b"&a;", b"=1+1", b"%",
    "\u202e".encode(), "\u00a0".encode(), "𠀀".encode(), b"2019-02-30", b"true", b"~", b"<<: *a", b"? ", b"- - - ",
)  # fmt: skip


class Mutator:
    """Random changes of inputs; a workbook is changed inside its parts."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def input(self, target: str) -> bytes:
        """A new input for a target."""
        data = self.random.choice(corpus(target))
        if target == "xlsx" and self.random.random() < 0.85:
            return self.workbook(data)
        return self.changed(data, self.random.choice(corpus(target)))

    def changed(self, data: bytes, other: bytes) -> bytes:
        choose = self.random
        for _ in range(choose.choice((1, 1, 2, 3, 5, 12))):
            place = choose.randrange(len(data) + 1)
            end = min(len(data), place + choose.choice((0, 1, 1, 2, 8, 60)))
            match choose.randrange(7):
                case 0:
                    data = data[:place] + data[end:]
                case 1:
                    data = data[:place] + choose.choice(_PIECES) + data[place:]
                case 2:
                    data = data[:place] + choose.choice(_PIECES) + data[end:]
                case 3:
                    data = data[:place] + data[place:end] * choose.choice((2, 3, 50, 500)) + data[end:]
                case 4:
                    start = choose.randrange(len(other) + 1)
                    data = data[:place] + other[start : start + choose.choice((1, 5, 40))] + data[place:]
                case 5:
                    data = data[:place] + bytes([choose.randrange(256)]) + data[place + 1 :]
                case _:
                    lines = data.split(b"\n")
                    choose.shuffle(lines)
                    data = b"\n".join(lines)
            data = data[:200_000]
        return data

    def workbook(self, data: bytes) -> bytes:
        parts: dict[str, bytes] = {}
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                parts[name] = archive.read(name)
        for _ in range(self.random.choice((1, 1, 2))):
            name = self.random.choice(sorted(parts))
            if self.random.random() < 0.1:
                del parts[name]
                if not parts:
                    break
            else:
                parts[name] = self.changed(parts[name], parts[self.random.choice(sorted(parts))])
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, part in parts.items():
                archive.writestr(name, part)
        return out.getvalue()
