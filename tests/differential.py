"""Every evaluator over the same random provisions and facts, held against the reference.

An evaluator takes a provision once and then rows of typed values, and gives a verdict for each: status,
values, and the missing facts where it tells them. One that is not installed, or that refuses a
provision (a range beyond its integers), is left out and counted, never silently.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from time import perf_counter
from typing import Any

from engine.calendar import day_of
from engine.dossier import assess_dossier, derive_case, reference_agenda
from engine.errors import EvaluationError, HeguiError, PackError
from engine.evaluate.compiled import CompiledProvision
from engine.evaluate.integers import term_value, truth_value
from engine.kinds import UNDETERMINED, DeadlineFacts
from engine.model import Case, Dossier, FromField, Matter, Provision, RecordType, Row, Text
from engine.normal import PlanOutput, normal_form
from engine.outcome import assess
from engine.stored import encode
from engine.types import Kind
from engine.values import Value, shrink
from strategies import DAYS, FactMaker, from_seed, load_provision, make_provision

Values = Mapping[str, Value | None]


@dataclass(frozen=True)
class Verdict:
    """What an evaluator says of one row; `missing` is None where it does not tell."""

    status: str
    values: Mapping[str, Value] = field(default_factory=dict)
    missing: tuple[str, ...] | None = None

    @property
    def failed(self) -> bool:
        return self.status.startswith(("error", "CRASH"))

    def agrees(self, reference: Verdict) -> bool:
        if self == SOME_ERROR:
            return reference.status.startswith("error")
        if self.status != reference.status:
            return False
        if _exactly(self.values) != _exactly(reference.values):
            return False
        return self.missing is None or self.missing == reference.missing

    def __str__(self) -> str:
        parts = [self.status, *(f"{name}={value}" for name, value in sorted(self.values.items()))]
        if self.missing:
            parts.append(f"missing {','.join(self.missing)}")
        return " ".join(parts)


def _exactly(values: Mapping[str, Value]) -> dict[str, tuple[str, Value]]:
    """Values with their kind: 1 is not true, and a date no text."""
    return {name: ("number" if isinstance(value, (int, Fraction)) and not isinstance(value, bool)
                   else type(value).__name__, value) for name, value in values.items()}  # fmt: skip


SOME_ERROR = Verdict("error")
"""Of an evaluator that leaves it to the reference to say which."""


class Refused(Exception):
    """The evaluator does not take this provision, by design."""


Decide = Callable[[Sequence[Values]], list[Verdict]]


@dataclass(frozen=True)
class Evaluator:
    """An evaluator by name. `prepare` may raise `Refused`; `batch` are the rows it is worth asking at once."""

    name: str
    prepare: Callable[[Provision, date | None], Decide]
    batch: int = 20


def crashed(error: BaseException) -> Verdict:
    """An error by its code; anything but our own problems is a crash, and never agrees with anything."""
    if isinstance(error, EvaluationError):
        return Verdict(f"error {error.problems[0].code}")
    return Verdict(f"CRASH {type(error).__name__}: {error}"[:200])


def one_by_one(decide: Callable[[Values], Verdict]) -> Decide:
    def run(rows: Sequence[Values]) -> list[Verdict]:
        found = []
        for row in rows:
            try:
                found.append(decide(row))
            except Exception as error:
                found.append(crashed(error))
        return found

    return run


# The evaluators that are always there


def reference(provision: Provision, on: date | None) -> Decide:
    def decide(values: Values) -> Verdict:
        outcome = assess(provision, values, on)
        return Verdict(outcome.status, outcome.values, outcome.missing)

    return one_by_one(decide)


def _plan(provision: Provision, on: date | None) -> Any:
    parameters = {name: parameter.on(on) if on else None for name, parameter in provision.parameters.items()}
    try:
        return normal_form(provision, parameters)
    except PackError as error:
        raise Refused(error.problems[0].code) from None


def integers(provision: Provision, on: date | None) -> Decide:
    """The normal form read plainly; what makes an outcome of it is written here, apart from `assess`."""
    plan = _plan(provision, on)

    def value_of(output: PlanOutput, row: Mapping[str, Any]) -> Value | None:
        if output.kind is Kind.BOOLEAN:
            return truth_value(output.value, row)  # type: ignore[arg-type]
        found, divisor = term_value(output.value, row), term_value(output.denominator, row)  # type: ignore[arg-type]
        if found is None or divisor is None:
            return None
        if isinstance(found, str):
            return found
        return day_of(found) if output.kind is Kind.DATE else shrink(Fraction(found, divisor))  # type: ignore[arg-type]

    def plainly(values: Values) -> Verdict:
        given = {name: values.get(name) if name in values else of.default for name, of in provision.facts.items()}
        row = {name: encode(value, provision.facts[name].type) for name, value in given.items()}
        status = term_value(plan.status, row)
        undetermined = status is None
        found: dict[str, Value] = {}
        always: dict[str, Value] = {}
        for output in plan.outputs:
            if output.statuses is not None and status is not None and status not in output.statuses:
                continue
            value = value_of(output, row)  # of an open status too: the calendar may end there
            if output.statuses is not None and status is None:
                continue
            if value is None:
                undetermined |= output.required and output.statuses is not None
                continue
            if output.hidden:
                continue
            found[output.name] = value
            if output.statuses is None:
                always[output.name] = value
        return Verdict(UNDETERMINED, always) if undetermined else Verdict(str(status), found)

    def decide(values: Values) -> Verdict:
        try:
            return plainly(values)
        except (ValueError, EvaluationError):  # finer than its column, beyond the calendar: the reference's to say
            outcome = assess(provision, values, on)
            return Verdict(outcome.status, outcome.values)

    return one_by_one(decide)


def compiled(provision: Provision, on: date | None) -> Decide:
    try:
        ready = CompiledProvision(provision, on)
    except PackError as error:
        raise Refused(error.problems[0].code) from None
    return one_by_one(lambda values: Verdict(*ready.decide(values)))


# Forward chaining: the provision as the matter of a dossier whose rows are the cases


@dataclass
class LoosePack:
    """As much of a pack as assessing a dossier asks for."""

    provisions: Mapping[str, Provision]
    reference_date: date | None
    id: str = "tiny"
    version: str = "1"
    digest: str = ""
    deadline: DeadlineFacts = field(default_factory=lambda: DeadlineFacts("submitted", "submitted_on", "-"))

    def provision(self, identity: str) -> Provision:
        return self.provisions[identity]


class Chaining:
    """One worker process for all provisions."""

    def __init__(self) -> None:
        from engine.evaluate.worker import Worker

        self.worker = Worker()

    def __call__(self, provision: Provision, on: date | None) -> Decide:
        from engine.evaluate.chaining import ChainingAgenda

        plain = {name: replace(of, asked_when=None) for name, of in provision.facts.items()}
        texts = [FromField("row", name) for name, of in plain.items() if of.type.kind in (Kind.ENUM, Kind.BOOLEAN)]
        matter = Matter(provision.id, "row", {name: FromField("row", name) for name in plain},
                        highest_of=tuple(texts[:1]) or None)  # fmt: skip
        records = {"subject": RecordType("subject", Text("主体"), {}), "row": RecordType("row", Text("行"), plain)}
        dossier = Dossier("tiny", Text("小"), "subject", records, (matter,))
        pack: Any = LoosePack({provision.id: provision}, on)
        _plan(provision, on)  # refuses what has no normal form
        agenda_builder = ChainingAgenda(pack, self.worker, 20.0)

        def run(rows: Sequence[Values]) -> list[Verdict]:
            verdicts = reference(provision, on)(rows)
            usable = [row for row, verdict in zip(rows, verdicts, strict=True) if not verdict.failed]
            if not usable:
                raise Refused("no row can be evaluated")
            case = derive_case(dossier, Case("tiny", Row("subject", {}), tuple(Row("row", row) for row in usable)))
            agenda = reference_agenda(dossier, case, {})
            outcome = assess_dossier(pack, dossier, case, agenda, None, explained=False)
            before = agenda_builder.chained
            try:
                agenda_builder.compare(dossier, case, agenda, outcome, None)
            except EvaluationError as error:  # which row it is about, the smallest case will tell
                return [Verdict(error.problems[0].message("en"))] * len(rows)
            if agenda_builder.chained == before:
                raise Refused(agenda_builder.reason or "not chained")
            return verdicts

        return run


# Columns: Polars, DuckDB, Spark


class Columnar:
    """A column plan evaluated by one of the engines of `sql_run`."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def __call__(self, provision: Provision, on: date | None) -> Decide:
        import polars as pl

        from engine.evaluate.columnar import column_plan, words_of
        from engine.evaluate.polars_backend import column_type

        try:
            plan = column_plan(provision, on)
            words = words_of(plan)
            ready = self.engine.ready(plan, words)
            schema = {name: column_type(of, plan.bits) for name, of in plan.facts.items()}
            _ = schema and ready.outcomes(pl.DataFrame(schema=schema))  # refuses what is too wide for it
        except PackError as error:
            raise Refused(error.problems[0].code) from None
        if not schema:
            raise Refused("a provision without facts has no columns")
        codes = {word: place for place, word in enumerate(words)}

        def stored(values: Values) -> dict[str, Any] | None:
            try:
                row = {name: encode(values.get(name), of.type) for name, of in provision.facts.items()}
            except ValueError:  # finer than its column holds
                return None
            return {name: codes[str(value)] if value is not None and provision.facts[name].type.kind is Kind.ENUM
                    else value for name, value in row.items()}  # fmt: skip

        def run(rows: Sequence[Values]) -> list[Verdict]:
            columns = [stored(values) for values in rows]
            kept = [row for row in columns if row is not None]
            frame = pl.DataFrame({name: [row[name] for row in kept] for name in schema}, schema=schema)
            if not kept:
                raise Refused("no row that its columns hold")
            outcomes = ready.outcomes(frame).to_dicts()
            missing = ready.missing(frame).to_dicts() if plan.missing else [{}] * len(kept)
            found = (_columnar_verdict(plan, {**one, **other}) for one, other in zip(outcomes, missing, strict=True))
            plainly = reference(provision, on)
            return [
                plainly([values])[0] if row is None else next(found) for row, values in zip(columns, rows, strict=True)
            ]

        return run


def _columnar_verdict(plan: Any, row: Mapping[str, Any]) -> Verdict:
    from engine.evaluate.columnar import words_of
    from engine.evaluate.naming import ERROR, STATUS, denominator_column, missing_column, value_column

    if row.get(ERROR):
        return SOME_ERROR
    words = words_of(plan)
    values: dict[str, Value] = {}
    for output in plan.outputs:
        value = row[value_column(output.name)]
        if value is None:
            continue
        match output.kind:
            case Kind.BOOLEAN:
                values[output.name] = bool(value)
            case Kind.DATE:
                values[output.name] = day_of(value)
            case Kind.ENUM | Kind.TEXT:
                values[output.name] = value if isinstance(value, str) else words[value]
            case _:
                divisor = row.get(denominator_column(output.name))  # there where it varies
                if divisor is None:
                    divisor = output.denominator.value
                values[output.name] = shrink(Fraction(int(value), int(divisor)))
    status = row[STATUS]
    if status is not None:
        return Verdict(words[status], values)
    missing = None
    if plan.missing is not None:
        missing = tuple(sorted(name for name in plan.missing if row[missing_column(name)]))
    return Verdict(UNDETERMINED, values, missing)


# Those that can be had


def installed(spark: bool = False) -> list[Evaluator]:
    """Every evaluator that can be had here; Spark only where asked for: it takes seconds to start."""
    from importlib.util import find_spec

    found = [Evaluator("integers", integers), Evaluator("compiled", compiled)]
    from engine.evaluate.worker import unavailable_reason

    if unavailable_reason() is None:
        found.append(Evaluator("chaining", Chaining(), 6))
    if find_spec("polars"):
        from engine.evaluate.sql_run import DuckDbEngine, PolarsEngine, SparkEngine

        found.append(Evaluator("polars", Columnar(PolarsEngine()), 200))
        if find_spec("duckdb") and find_spec("sqlglot"):
            found.append(Evaluator("duckdb", Columnar(DuckDbEngine(threads=1)), 200))
        if spark and find_spec("pyspark") and find_spec("sqlglot") and shutil.which("java"):
            found.append(Evaluator("spark", Columnar(SparkEngine("local[1]")), 2000))
    return found


# Holding them against each other


@dataclass(frozen=True)
class Disagreement:
    """A row on which an evaluator differs from the reference."""

    evaluator: str
    provision: Mapping[str, Any]
    on: date
    values: Values
    expected: Verdict
    found: Verdict

    def __str__(self) -> str:
        facts = {name: str(value) for name, value in self.values.items() if value is not None}
        data = {key: value for key, value in self.provision.items()
                if key not in _FILLED}  # fmt: skip
        return (
            f"{self.evaluator}: {self.found}\n  reference: {self.expected}\n"
            f"  provision: {json.dumps(data, ensure_ascii=False)}\n  facts: {facts}, parameters of {self.on}"
        )


@dataclass
class Tally:
    """How much was compared."""

    provisions: int = 0
    not_loaded: Counter[str] = field(default_factory=Counter)
    evaluations: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    disagreements: list[Disagreement] = field(default_factory=list)


def compare(
    data: Mapping[str, Any], on: date, rows: Sequence[Values], evaluators: Sequence[Evaluator], tally: Tally
) -> Iterator[Disagreement]:
    """Every disagreement over some rows. Errors (`PackError`): the loader refuses the provision."""
    provision = load_provision(dict(data))
    tally.provisions += 1
    expected = _timed(tally, "reference", reference(provision, on), rows)
    tally.statuses.update(verdict.status.split()[0] for verdict in expected)
    for verdict, values in zip(expected, rows, strict=True):
        if verdict.status.startswith("CRASH"):
            yield Disagreement("reference", data, on, values, Verdict("a problem of ours"), verdict)
    for evaluator in evaluators:
        try:
            decide = evaluator.prepare(provision, on)
            taken = rows[: evaluator.batch] if evaluator.name == "chaining" else rows
            found = _timed(tally, evaluator.name, decide, taken)
        except Refused as refusal:
            tally.refused[f"{evaluator.name}: {refusal}"] += 1
            continue
        except Exception as error:
            yield Disagreement(evaluator.name, data, on, rows[0], expected[0], crashed(error))
            continue
        for verdict, wanted, values in zip(found, expected, taken, strict=False):
            if not verdict.agrees(wanted):
                yield Disagreement(evaluator.name, data, on, values, wanted, verdict)


def _timed(tally: Tally, name: str, decide: Decide, rows: Sequence[Values]) -> list[Verdict]:
    began = perf_counter()
    found = decide(rows)
    tally.seconds[name] += perf_counter() - began  # type: ignore[assignment]
    tally.evaluations[name] += len(found)
    return found


def run(seeds: Sequence[int], rows: int, evaluators: Sequence[Evaluator], tally: Tally, until: float = 1e99) -> None:
    """Random provisions by seed, `rows` rows each; stops at the moment `until` (of `perf_counter`)."""
    for seed in seeds:
        if perf_counter() > until:
            return
        chooser = from_seed(seed)
        data, on = make_provision(chooser), DAYS[chooser.below(len(DAYS))]
        try:
            maker = FactMaker(load_provision(data))
        except PackError as error:
            tally.not_loaded[error.problems[0].code] += 1
            continue
        made = len(chooser.made)
        cases = []
        for _ in range(rows):
            del chooser.made[made:]
            cases.append(maker.values(chooser))
        tally.disagreements += compare(data, on, cases, evaluators, tally)


# Shrinking, and lines for the table of regressions


def regression_line(found: Disagreement) -> str:
    """`day ; provision ; facts ; outcome` by the reference."""
    data = {key: value for key, value in found.provision.items() if key not in _FILLED}
    facts = {name: _written(value) for name, value in found.values.items() if value is not None}
    parts = (found.on, json.dumps(data, ensure_ascii=False), json.dumps(facts, ensure_ascii=False), found.expected)
    return " ; ".join(map(str, parts))


def _written(value: Value) -> Any:
    return value if isinstance(value, (bool, str)) else str(value)


_FILLED = {"id": "tiny.one", "label": "一", "plan": "1", "at": "一", "summary": "概括"}


def read_regression(line: str) -> tuple[dict[str, Any], date, dict[str, Value | None], str]:
    """What `regression_line` wrote: provision, day, facts in engine units, and the outcome as text."""
    day, text, facts, outcome = (part.strip() for part in line.split(" ; "))
    data = {**_FILLED, **json.loads(text)}
    values: dict[str, Value | None] = {}
    given = json.loads(facts)
    for name, of in load_provision(data).facts.items():
        raw = given.get(name)
        match of.type.kind:
            case _ if raw is None:
                values[name] = None
            case Kind.BOOLEAN | Kind.ENUM | Kind.TEXT:
                values[name] = raw
            case Kind.DATE:
                values[name] = date.fromisoformat(raw)
            case _:
                values[name] = shrink(Fraction(raw))
    return data, date.fromisoformat(day), values, outcome


def minimal(found: Disagreement, evaluators: Sequence[Evaluator], seconds: float = 20.0) -> Disagreement:
    """The same disagreement over a smaller provision, by removing parts of its data one after another."""
    own = [evaluator for evaluator in evaluators if evaluator.name == found.evaluator]

    def alike(other: Disagreement) -> bool:
        """The same fault, as far as can be told: the same crash, or the same two statuses."""
        if found.found.status.startswith("CRASH"):
            return other.found.status[:40] == found.found.status[:40]
        return (other.found.status, other.expected.status) == (found.found.status, found.expected.status)

    until = perf_counter() + seconds

    def still(data: Mapping[str, Any], values: Values) -> Disagreement | None:
        try:
            for other in compare(data, found.on, [values], own, Tally()):
                if alike(other):
                    return other
        except (HeguiError, AssertionError, KeyError):
            pass
        return None

    best = found
    changed = True
    while changed:
        changed = False
        for data in _smaller(best.provision):
            if perf_counter() > until:
                return best
            if (smaller := still(data, best.values)) is not None:
                best, changed = smaller, True
                break
        else:
            for name, value in best.values.items():
                for simple in (
                    None,
                    *((0, 1) if isinstance(value, (int, Fraction)) and not isinstance(value, bool) else ()),
                ):
                    if value is None or value == simple:
                        break
                    if (smaller := still(best.provision, {**best.values, name: simple})) is not None:
                        best, changed = smaller, True
                        break
                if changed:
                    break
    return best


def _smaller(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The provision with one thing left out or made simpler."""
    from engine.expr import children, show
    from engine.parse import parse_expression

    def simpler(value: Any) -> Iterator[Any]:
        if isinstance(value, Mapping) and "type" in value:
            yield from ({other: inner for other, inner in value.items() if other != key}
                        for key in value if key not in ("type", "values"))  # fmt: skip
        elif isinstance(value, Mapping):
            for key in value:
                yield {other: inner for other, inner in value.items() if other != key}
                for inner in simpler(value[key]):
                    yield {**value, key: inner}
        elif isinstance(value, list):
            for place in range(len(value)):
                yield value[:place] + value[place + 1 :]
                for inner in simpler(value[place]):
                    yield [*value[:place], inner, *value[place + 1 :]]
        elif isinstance(value, str):
            try:
                tree = parse_expression(value)
            except (PackError, ValueError):
                return
            for part in _descendants(tree):
                yield show(part)

    def _descendants(tree: Any) -> Iterator[Any]:
        for child in children(tree):
            yield child
        for place, child in enumerate(children(tree)):
            for smaller in _descendants(child):
                yield _with_child(tree, place, smaller)

    def _with_child(tree: Any, place: int, child: Any) -> Any:
        names = {"Not": ("operand",), "Compare": ("left", "right"), "Arithmetic": ("left", "right"),
                 "IfElse": ("condition", "then", "other")}.get(type(tree).__name__)  # fmt: skip
        if names:
            return replace(tree, **{names[place]: child})
        key = "operands" if type(tree).__name__ == "Logic" else "arguments"
        parts = list(getattr(tree, key))
        parts[place] = child
        return replace(tree, **{key: tuple(parts)})

    for key, value in data.items():
        if key in ("id", "kind", "label", "plan", "at", "summary"):
            continue
        yield {other: inner for other, inner in data.items() if other != key}
        for inner in simpler(value):
            yield {**data, key: inner}
