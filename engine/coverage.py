"""What of a pack its worked cases reach: every side of every condition, every row, status and threshold.

A goal is a condition over the facts: a requirement that fails, a row that matches, a value exactly at
its bound or within one smallest unit on either side. A goal that some case meets is reached; for the
others the solver names a case, or proves that there can be none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

from engine.cases import WorkedCase
from engine.dataclass import dataclass
from engine.encoding import Encoded
from engine.errors import EvaluationError, Lang, PackError
from engine.evaluate.python import evaluate
from engine.expr import Arithmetic, Compare, Expr, IfElse, Literal, Not, conjunction, show, walk
from engine.kinds import LABELS
from engine.load import Pack
from engine.model import Provision, ProvisionKind, Text
from engine.mutation import prepared_cases, smallest_unit
from engine.outcome import names_of
from engine.parts import EFFECTS, branches, expressions, open_facts, reads_facts, statuses_of, tables_of
from engine.solver import Questions, Space, Undecided, both, has_solver
from engine.source import Location
from engine.tables import shown_row
from engine.types import BOOLEAN, DATE, Kind, Type
from engine.values import shrink
from engine.witness import Witness, case_text, witness

SIDES: dict[str, Text] = {
    "holds": Text("成立", "holds"), "fails": Text("不成立", "fails"), "row": Text("命中该行", "the row matches"),
    "status": Text("得出该结论", "comes to this status"), "at": Text("恰在界线上", "exactly at the bound"),
    "below": Text("比界线少一个最小单位以内", "below the bound, within one smallest unit"),
    "above": Text("比界线多一个最小单位以内", "above the bound, within one smallest unit"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Goal:
    """Something a case can reach: `side` of `about`, written at `at`; `condition` is None for a status."""

    side: str
    about: str
    at: Location
    condition: Expr | None


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A goal no worked case reaches, with a case that would; None where none was found."""

    provision: str
    goal: Goal
    case: Witness | None = None

    def message(self, lang: Lang = "zh") -> str:
        about = LABELS[self.goal.about].get(lang) if self.goal.side == "status" else f"`{self.goal.about}`"
        return f"{about} {SIDES[self.goal.side].get(lang)}"

    def case_text(self) -> str:
        """The suggested case as an entry of the pack's `cases/`."""
        return "" if self.case is None else case_text(self.case, self.message("en"), self.message("zh"))


@dataclass(frozen=True, slots=True)
class CoverageReport:
    """`reached` goals of `goals`; `impossible` ones are proved to have no case and count as neither."""

    uncovered: tuple[Uncovered, ...]
    goals: int
    reached: int
    impossible: int


def coverage(pack: Pack, cases: Sequence[WorkedCase], only: Sequence[str] = ()) -> list[Uncovered]:
    """Everything the worked cases leave out, in the order of the pack."""
    return list(measure_coverage(pack, cases, only).uncovered)


def measure_coverage(
    pack: Pack, cases: Sequence[WorkedCase], only: Sequence[str] = (), progress: Callable[[str], None] | None = None
) -> CoverageReport:
    """Coverage of the chosen provisions. Without the solver there are no suggestions, and nothing is impossible."""
    by_provision: dict[str, list[WorkedCase]] = {}
    for case in cases:
        by_provision.setdefault(case.provision, []).append(case)
    uncovered: list[Uncovered] = []
    total = reached = impossible = 0
    for identity, provision in pack.provisions.items():
        if only and not identity.startswith(tuple(only)):
            continue
        if progress is not None:
            progress(identity)
        wanted = list(goals(provision))
        total += len(wanted)
        ready = prepared_cases(pack, provision, by_provision.get(identity, []))
        left = [
            goal
            for goal in wanted
            if not any(
                reaches(provision, goal, item.values, item.on, item.outcome.status if item.outcome else "")
                for item in ready
            )
        ]
        reached += len(wanted) - len(left)
        found = suggestions(provision, left, pack.reference_date)
        for number, goal in enumerate(left):
            if number in found and found[number] is None:
                impossible += 1
            else:
                uncovered.append(Uncovered(identity, goal, found.get(number)))
    return CoverageReport(tuple(uncovered), total, reached, impossible)


def reaches(provision: Provision, goal: Goal, values: Mapping[str, object], on: date | None, status: str) -> bool:
    """Whether a case meets a goal, by the reference evaluator."""
    if goal.condition is None:
        return status == goal.about
    try:
        return evaluate(goal.condition, names_of(provision, values, on)) is True  # type: ignore[arg-type]
    except (EvaluationError, ValueError, OverflowError):
        return False


# Goals


def goals(provision: Provision) -> Iterator[Goal]:
    """Everything the cases of a provision should reach."""
    yield from _statuses(provision)
    yield from _conditions(provision)
    for table in tables_of(provision):
        earlier: list[Expr] = []
        for row in table.rows:
            guard = conjunction([test for test in row.tests if test is not None])
            lead = [Not(other) for other in earlier] if table.hit == "first" else []
            yield Goal("row", shown_row(row), row.at, conjunction([*_applies(provision), *lead, guard]))
            earlier.append(guard)
    yield from _thresholds(provision)


def _statuses(provision: Provision) -> Iterator[Goal]:
    known = statuses_of(provision)
    named = dict.fromkeys(str(node.value) for node in _leaves(provision.status) if node.value in known)
    if provision.kind is ProvisionKind.TARGET:
        named.pop("not_judged", None)
    for status in named:
        yield Goal("status", status, provision.at, None)


def _applies(provision: Provision) -> list[Expr]:
    return [] if provision.applies is None else [provision.applies]


def _leaves(expr: Expr) -> Iterator[Literal]:
    """The literals an expression can come to, without those its conditions compare with."""
    match expr:
        case Literal():
            yield expr
        case IfElse(_, then, other):
            yield from _leaves(then)
            yield from _leaves(other)


def _conditions(provision: Provision) -> Iterator[Goal]:
    """Both sides of the requirements, of `applies` and of every `if` outside tables, along the way that leads there."""
    seen: set[tuple[Expr, ...]] = set()
    found: list[tuple[tuple[Expr, ...], Expr]] = []
    if provision.applies is not None:
        found.append(((), provision.applies))
    found += [(tuple(_applies(provision)), requirement.condition) for requirement in provision.requirements]
    whole = conjunction([requirement.condition for requirement in provision.requirements])
    tabled = {id(let.expr) for let in provision.lets if let.table is not None}
    for expr in expressions(provision):
        if id(expr) not in tabled:
            found += [
                (path, condition)
                for path, condition in branches(expr)
                if condition not in (whole, Not(whole), provision.applies, Not(provision.applies or whole))
            ]
    for path, condition in found:
        if not condition.at.file or (*path, condition) in seen:
            continue
        seen.add((*path, condition))
        yield Goal("holds", show(condition), condition.at, conjunction([*path, condition]))
        yield Goal("fails", show(condition), condition.at, conjunction([*path, Not(condition)]))


def _thresholds(provision: Provision) -> Iterator[Goal]:
    """Each comparison of figures or dates with the value at the bound and one smallest unit to either side."""
    seen: set[tuple[Expr, Expr]] = set()
    due = next((let.at for let in provision.lets if let.name == "due_date"), provision.at)
    lead = {id(condition): path for path, condition in branches(provision.status)}
    for expr in expressions(provision):
        for node in walk(expr):
            if not isinstance(node, Compare) or (node.left, node.right) in seen:
                continue
            if node.left.type.kind not in (Kind.MONEY, Kind.RATIO, Kind.QUANTITY, Kind.DATE):
                continue
            at = node.at if node.at.file else due if provision.kind is ProvisionKind.DEADLINE else node.at
            if not at.file or not reads_facts(provision, node):
                continue
            seen.add((node.left, node.right))
            value, bound = (node.left, node.right) if reads_facts(provision, node.left) else (node.right, node.left)
            # Of a deadline the day counts only where the duty is done, or is not.
            path = () if node.at.file else lead.get(id(node), ())
            if provision.applies is not None and node not in list(walk(provision.applies)):
                path = (provision.applies, *path)
            for side, condition in _around(value, bound):
                condition = conjunction([*path, condition])
                yield Goal(side, f"{show(node.left)} {node.op} {show(node.right)}", at, condition)


def _around(left: Expr, right: Expr) -> Iterator[tuple[str, Expr]]:
    """A value at its bound, and less than a smallest unit below and above it."""
    of = left.type
    step_type = Type(Kind.QUANTITY, "天", integer=True) if of.kind is Kind.DATE else of
    unit = Literal(shrink(smallest_unit(of)), step_type)
    result = DATE if of.kind is Kind.DATE else of

    def plus(side: Expr) -> Expr:
        return Arithmetic("+", side, unit, type=result)

    def compare(op: str, a: Expr, b: Expr) -> Expr:
        return Compare(op, a, b, type=BOOLEAN)

    yield "at", compare("==", left, right)
    yield "below", conjunction([compare("<", left, right), compare(">=", plus(left), right)])
    yield "above", conjunction([compare(">", left, right), compare("<=", left, plus(right))])


# Suggestions


def suggestions(provision: Provision, left: Sequence[Goal], on: date | None) -> dict[int, Witness | None]:
    """For each goal, by its number, a case that meets it; None: proved that there is none; absent: not known."""
    if not has_solver() or not left:
        return {}
    space = Space(open_facts(provision), on)
    found: dict[int, Witness | None] = {}
    try:
        encoded = Encoded(
            space,
            provision,
            on,
            {str(number): goal.condition for number, goal in enumerate(left) if goal.condition is not None},
        )
    except PackError:
        return {}
    questions = Questions(space)
    for number, goal in enumerate(left):
        wanted = encoded.has_status((goal.about,)) if goal.condition is None else encoded.condition(str(number)).yes
        effect = both(encoded.settled, encoded.has_status(EFFECTS[provision.kind]))
        model, undecided = None, False
        for context in ([effect], [encoded.settled], []):  # rather a case in which the provision takes effect
            try:
                model = questions.simple_case(both(wanted, *context))
            except Undecided:
                undecided = True
            if model is not None:
                break
        if model is None:
            if not undecided:
                found[number] = None
            continue
        case = witness(provision, space.values(model), on)
        if reaches(provision, goal, case.values, on, case.outcome.status if case.outcome else ""):
            found[number] = case
    return found
