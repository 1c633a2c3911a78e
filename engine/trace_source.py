"""A pack against the text it was read from: does each heading path exist, does each figure stand there.

The text is the user's own copy. It is cut into plans and headings (一、 (一) 1. (1) ①, articles, annexes);
a provision's heading path must lead to a section, and every figure of the provision (literals of its
expressions, table cells, targets, parameters) must stand in one of its sections or in an annex it
names, however the text writes it: 万 and 亿, %, ‰ and 百分之, Chinese numerals, 半年, 3月底前. A figure
that is no policy figure (a law's, the calendar's, one worked out from others) is accounted for in
the pack's `source_notes.yaml`:

```yaml
plans: {1: 稳投资行动方案}           # the line on which each plan begins; a plan without one precedes them all
explained:
- {provision: some.provision, figure: 36, why: 三年折算为36个月}
- {figure: 2019-12-31, why: 计划年度的最后一日}
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date
from fractions import Fraction
from typing import Any

from engine.dataclass import dataclass
from engine.errors import Lang, PackError, Problem, Wording, register
from engine.expr import Expr, Literal, literal_text, names, walk
from engine.load import Pack
from engine.model import Parameter, Provision, ProvisionKind, Text
from engine.reader import Reader
from engine.report import Table
from engine.source import NOWHERE, Location
from engine.source_text import (
    FIGURE,
    SCALES,
    WIDE,
    Line,
    find_section,
    numbers_of,
    read_path,
    read_source,
    squeeze,
    stands,
)
from engine.target_table import number_text, planned_figures
from engine.types import MONEY, NUMBER, RATIO, Kind, Type
from engine.values import FEN_PER_YUAN, Value
from engine.yamltree import Mapping as MappingNode
from engine.yamltree import read_yaml

register(
    {
        "plan-not-found": Wording("文本里没有以“{title}”为标题的一行", "no line of the text is the title `{title}`"),
        "stale-note": Wording(
            "{provision} 没有数字 {figure} 需要说明",
            "{provision} has no figure {figure} to account for",
            "删去",
            "remove it",
        ),
    }
)

# Figures of a provision


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a provision, as the rule writes it."""

    text: str
    value: Value
    type: Type


_TRIVIAL = (0, 1, -1)


def figures_of(provision: Provision, plans: Sequence[str] = ()) -> list[Figure]:
    """Every figure a provision carries; 0 and 1, plain words and citations of the plans so called are none."""
    found: dict[tuple[str, str], Figure] = {}
    if provision.kind is ProvisionKind.TARGET:
        for planned in planned_figures(provision):
            if planned.value in _TRIVIAL:
                continue
            unit, number = planned.unit, Fraction(planned.value)
            shown = number_text(planned.value, unit)
            if unit == "%":
                figure = Figure(shown, number / 100, RATIO)
            elif unit == "元":
                figure = Figure(shown, number * FEN_PER_YUAN, MONEY)
            else:
                figure = Figure(shown, number, NUMBER)
            found.setdefault((figure.type.kind.value, shown), figure)
        return list(found.values())
    for literal in _literals(provision):
        value = literal.value
        if isinstance(value, str) and literal.type.kind is Kind.TEXT and not value.startswith(tuple(plans)):
            for figure in _figures_in(value):
                found.setdefault((figure.type.kind.value, figure.text), figure)
        if value is None or isinstance(value, (bool, str)) or (not isinstance(value, date) and value in _TRIVIAL):
            continue
        text = literal_text(literal)
        found.setdefault((literal.type.kind.value, text), Figure(text, value, literal.type))
    read = {name for expr in _expressions(provision) for name in names(expr)}
    for parameter in (provision.parameters[name] for name in sorted(read & set(provision.parameters))):
        for value in _parameter_values(parameter):
            text = literal_text(Literal(value, parameter.type))
            found.setdefault((parameter.type.kind.value, text), Figure(text, value, parameter.type))
    return list(found.values())


def _figures_in(text: str) -> Iterator[Figure]:
    """The figures of a sentence that a rule states."""
    for match in FIGURE.finditer(text.translate(WIDE)):
        number, scale, unit = Fraction(match[1].replace(",", "")), match[2] or "", match[3] or ""
        if number in _TRIVIAL:
            continue
        if unit in ("%", "‰", "个百分点"):
            yield Figure(match[0], number / (1000 if unit == "‰" else 100), RATIO)
        elif unit == "元":
            yield Figure(match[0], number * SCALES[scale] * FEN_PER_YUAN, MONEY)
        else:
            yield Figure(match[1] + scale, number * SCALES[scale], NUMBER)


def _expressions(provision: Provision) -> list[Expr]:
    exprs: list[Expr] = [provision.status, *(output.expr for output in provision.outputs)]
    exprs += [let.expr for let in provision.lets]
    exprs += [requirement.condition for requirement in provision.requirements]
    exprs += [measure.condition for measure in provision.measures if measure.condition is not None]
    if provision.applies is not None:
        exprs.append(provision.applies)
    return exprs


def _literals(provision: Provision) -> Iterator[Literal]:
    for expr in _expressions(provision):
        for node in walk(expr):
            if isinstance(node, Literal):
                yield node


def _parameter_values(parameter: Parameter) -> Iterator[Value]:
    for _, value in parameter.values:
        if not isinstance(value, (bool, str)) and (isinstance(value, date) or value not in _TRIVIAL):
            yield value


# The check


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a figure need not stand in the text; without a provision it holds for all."""

    provision: str
    figure: str
    why: Text
    at: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SourceNotes:
    """What a pack says about its text: the title line of each plan, and figures that are not in it."""

    plans: Mapping[str, str] = field(default_factory=dict)
    explained: tuple[Explained, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """A heading path or a figure of a provision that the text does not have."""

    provision: str
    path: str
    figure: str | None = None


@dataclass(frozen=True, slots=True)
class TraceResult:
    """What was looked for and what was not found; `used` are the explained figures."""

    provisions: int
    paths: int
    figures: int
    missing: tuple[Missing, ...]
    used: tuple[tuple[str, str, Text], ...]
    problems: tuple[Problem, ...]


def load_source_notes(pack: Pack) -> SourceNotes:
    """The pack's `source_notes.yaml`; empty where it has none. Errors (`PackError`): all that is wrong with it."""
    path = pack.folder / "source_notes.yaml"
    if not path.exists():
        return SourceNotes()
    problems: list[Problem] = []
    node = read_yaml(path, str(path))
    reader = Reader(
        node if isinstance(node, MappingNode) else MappingNode((), node.at),
        "source_notes.yaml",
        problems,
        ("plans", "explained"),
    )
    plans = {key.text: reader.scalar(value) for key, value in reader.mapping("plans")}
    explained: list[Explained] = []
    for item in reader.items("explained"):
        if not isinstance(item, MappingNode):
            reader.shape(item, "{provision, figure, why}", "{provision, figure, why}")
            continue
        inner = Reader(item, "an explained figure", problems, ("provision", "figure", "why"))
        why = inner.words("why")
        for identity in inner.texts("provision") or ("",):
            if identity and not pack.has(identity):
                inner.report("unknown-provision", inner.at("provision"), id=identity, suggestion="")
            explained += [Explained(identity, figure, why, item.at) for figure in inner.texts("figure")]
    if problems:
        raise PackError(problems)
    return SourceNotes(plans, tuple(explained))


def trace_source(pack: Pack, text: str, notes: SourceNotes) -> TraceResult:
    """Every heading path and figure of a pack looked for in a text."""
    lines = read_source(text)
    problems: list[Problem] = []
    parts = _plan_lines(pack, lines, notes, problems)
    start, end = pack.in_force
    years = frozenset(day.year for day in (start, end) if day is not None)
    missing: list[Missing] = []
    used: list[tuple[str, str, Text]] = []
    reasons = {(item.provision, item.figure): item for item in notes.explained}
    spent: set[Explained] = set()
    paths = figures = 0
    for identity, provision in pack.provisions.items():
        sections: list[Line] = []
        for place, plan, path in _cited(pack, provision):
            found = _sections(parts.get(plan, []), path)
            paths += 1
            if found is None:
                missing.append(Missing(identity, place))
            else:
                sections += found
        numbers = numbers_of(sections)
        for figure in figures_of(provision, list(plan_names(pack))):
            figures += 1
            if stands(figure.value, figure.type, numbers, years):
                continue
            reason = reasons.get((identity, figure.text)) or reasons.get(("", figure.text))
            if reason is None:
                missing.append(Missing(identity, provision.citation.path, figure.text))
            else:
                spent.add(reason)
                used.append((identity, figure.text, reason.why))
    problems += [
        Problem("stale-note", item.at, {"provision": item.provision or "—", "figure": item.figure}, "warning")
        for item in notes.explained
        if item not in spent
    ]
    return TraceResult(len(pack.provisions), paths, figures, tuple(missing), tuple(used), tuple(problems))


def _plan_lines(
    pack: Pack, lines: Sequence[Line], notes: SourceNotes, problems: list[Problem]
) -> dict[str, list[Line]]:
    """The lines of each plan, by its label in the pack."""
    titles = {squeeze(title): number for number, title in notes.plans.items()}
    starts: dict[str, int] = {}
    for place in range(len(lines)):
        for length in (1, 2):  # a title may run over two lines
            joined = squeeze("".join(item.text for item in lines[place : place + length]))
            if joined in titles:
                starts.setdefault(titles[joined], place)
    for title, number in titles.items():
        if number not in starts:
            problems.append(Problem("plan-not-found", fields={"title": title}))
    order = sorted(starts.values())
    first = order[0] if order else len(lines)
    found: dict[str, list[Line]] = {}
    for number, label in pack.plans.items():
        if number in starts:
            start = starts[number]
            end = next((place for place in order if place > start), len(lines))
            found[label] = list(lines[start:end])
        elif number not in notes.plans:
            found[label] = list(lines[:first])
    return found


def plan_names(pack: Pack) -> dict[str, str]:
    """The short name of each plan, as citations use it, to its label."""
    return {label.split("（")[0].split("(")[0]: label for label in pack.plans.values()}


def _cited(pack: Pack, provision: Provision) -> Iterator[tuple[str, str, str]]:
    """Each place a provision cites: as written, its plan's label, its path."""
    citation = provision.citation
    yield citation.path, citation.plan, citation.path
    short = plan_names(pack)
    stated = [
        place
        for literal in _literals(provision)
        if isinstance(literal.value, str) and literal.value.startswith(tuple(short))
        for place in literal.value.split("；")
    ]
    for place in dict.fromkeys((*citation.also_at, *stated)):
        plan, path = citation.plan, place
        for name, label in short.items():
            if place.startswith(name):
                plan, path = label, place[len(name) :].strip()
        yield place, plan, path


def _sections(lines: Sequence[Line], path: str) -> list[Line] | None:
    """The lines of every heading path in a citation; None where one of them does not exist."""
    if not lines:
        return None
    steps, words = read_path(path)
    if not steps:
        return list(lines) if "全文" in path else None
    found: list[Line] = []
    for step in steps:
        section = find_section(lines, step)
        if section is None:
            return None
        found += section
    for word in words:
        if word.endswith(("表", "情况")):
            named = [place for place, line in enumerate(found) if squeeze(word) == squeeze(line.text)]
            if not named:
                return None
            titles = [place for place, line in enumerate(found) if squeeze(line.text).endswith(("表", "情况"))]
            found = found[named[0] : next((place for place in titles if place > named[0]), len(found))]
    return found


def trace_table(pack: Pack, result: TraceResult, lang: Lang) -> Table:
    """What could not be found, one line each."""
    zh = lang == "zh"
    headers = ("条款号", "依据", "找不到") if zh else ("id", "clause", "not found")
    rows = tuple(
        (
            item.provision,
            f"{pack.provision(item.provision).citation.plan.split('（')[0]} {item.path}",
            item.figure if item.figure is not None else ("此处标题" if zh else "this heading"),
        )
        for item in result.missing
    )
    note = (
        f"{result.provisions} 条条款，{result.paths} 处依据，{result.figures} 个数字；"
        f"{len(result.used)} 个数字另有说明，{len(result.missing)} 处找不到"
        if zh
        else f"{result.provisions} provisions, {result.paths} places, {result.figures} figures; "
        f"{len(result.used)} figures explained, {len(result.missing)} not found"
    )
    return Table("", headers, rows, notes=(note,))


def trace_data(result: TraceResult) -> dict[str, Any]:
    """The result as plain data."""
    return {
        "provisions": result.provisions,
        "places": result.paths,
        "figures": result.figures,
        "missing": [{"provision": item.provision, "path": item.path, "figure": item.figure} for item in result.missing],
        "explained": [
            {"provision": identity, "figure": figure, "why": {"zh": why.zh, "en": why.en}}
            for identity, figure, why in result.used
        ],
        "problems": [problem.to_dict() for problem in result.problems],
    }
