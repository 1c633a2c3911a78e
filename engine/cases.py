"""A pack's worked cases: facts and the outcome each must have, read and run.

```yaml
- provision: ID
  case: 85% exactly
  inputs: {task_amount: "1000000.00"}
  as_of: 2019-12-31        # where the day of assessment matters
  expect: {status: triggered, rate_percent: "8", amount: "9876.54"}
  why: …
```

`case` and `why` are texts, or `{zh: …, en: …}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from fractions import Fraction
from typing import Any

from engine.dataclass import dataclass
from engine.errors import HeguiError, PackError, Problem
from engine.load import Pack
from engine.model import Text
from engine.outcome import Outcome
from engine.reader import Reader
from engine.source import NOWHERE, Location
from engine.types import Kind
from engine.values import shrink, yuan_text
from engine.yamltree import Mapping as MappingNode
from engine.yamltree import Node, Scalar, Sequence, read_yaml

NO_REASON = Text("")
KEYS = ("provision", "case", "inputs", "as_of", "reading", "expect", "why")


@dataclass(frozen=True, slots=True)
class WorkedCase:
    """One case; `expect` holds the values an outcome must have, as text."""

    provision: str
    label: Text
    inputs: Mapping[str, Any]
    expect: Mapping[str, Any]
    as_of: str | None = None
    reading: Mapping[str, int] | None = None
    why: Text = NO_REASON
    at: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of a case; `differences` is empty where it passed."""

    case: WorkedCase
    outcome: Outcome | None
    differences: tuple[str, ...]


def plain(node: Node) -> Any:
    """A tree as plain data, scalars as text, plain nulls as None."""
    match node:
        case Scalar():
            return None if node.is_null else node.text
        case Sequence(items):
            return [plain(item) for item in items]
        case MappingNode(entries):
            return {key.text: plain(value) for key, value in entries}


def load_cases(pack: Pack) -> list[WorkedCase]:
    """Every case under the pack's `cases/`. Errors (`PackError`): all that is wrong with them."""
    problems: list[Problem] = []
    found: list[WorkedCase] = []
    for path in sorted(pack.folder.glob("cases/**/*.yaml")):
        node = read_yaml(path, str(path))
        for item in node.items if isinstance(node, Sequence) else (node,):
            if not isinstance(item, MappingNode):
                Reader(MappingNode((), item.at), "a case", problems).shape(item, "键值表", "a mapping")
                continue
            reader = Reader(item, "a case", problems, KEYS)
            for key in ("provision", "expect"):
                reader.need(key)
            identity = reader.text("provision")
            if not pack.has(identity):
                reader.report("unknown-provision", reader.at("provision"), id=identity)
            reading = {key.text: int(reader.scalar(value)) for key, value in reader.mapping("reading")} or None
            found.append(
                WorkedCase(
                    identity,
                    reader.words("case"),
                    {k.text: plain(v) for k, v in reader.mapping("inputs")},
                    {k.text: plain(v) for k, v in reader.mapping("expect")},
                    reader.text("as_of") or None,
                    reading,
                    reader.words("why"),
                    item.at,
                )
            )
    if problems:
        raise PackError(problems)
    return found


def run_cases(pack: Pack, cases: list[WorkedCase]) -> Iterator[CaseResult]:
    for case in cases:
        try:
            outcome = pack.evaluate(case.provision, case.inputs, case.as_of, case.reading)
        except HeguiError as error:
            yield CaseResult(case, None, (error.problems[0].render("en").replace("\n", " "),))
            continue
        yield CaseResult(case, outcome, tuple(differences(pack, case, outcome)))


def differences(pack: Pack, case: WorkedCase, outcome: Outcome) -> Iterator[str]:
    """How an outcome departs from what a case expects; every expected key is compared."""
    for key, wanted in case.expect.items():
        if key == "measures":
            found: Any = [measure.zh for measure in outcome.measures]
        elif key == "missing":
            found, wanted = list(outcome.missing), sorted(wanted)
        elif key == "status":
            found = outcome.status
        elif key in ("amount", "amount_max", "due_date"):
            found = getattr(outcome, key)
        elif key == "rate_percent":
            found = outcome.rate
        else:
            found = _shown(pack, case, key, outcome)
        if found != wanted:
            yield f"{key}: expected {wanted}, got {found}"


def _shown(pack: Pack, case: WorkedCase, key: str, outcome: Outcome) -> str | None:
    """Another output, written as the case writes it: money in yuan, ratios in percentage points."""
    value = outcome.values.get(key)
    if value is None:
        return None
    output = next(item for item in pack.provision(case.provision).outputs if item.name == key)
    kind = output.expr.type.kind
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, date)):
        return str(value)
    if kind is Kind.MONEY:
        return yuan_text(value)
    exact = Fraction(value) * (100 if kind is Kind.RATIO else 1)
    try:
        if Fraction(str(case.expect[key])) == exact:
            return str(case.expect[key])  # "22.0" and "22" are one number
    except ValueError:
        pass
    return str(shrink(exact))
