"""What each kind of provision can come to, and how its clauses make an outcome.

An entitlement is granted or not, a sanction triggered or not, a deadline kept or missed, an
obligation met, a prohibition breached, a target reached, a parameter stated. The clauses of a
provision become one expression for its status, first match first, and outputs that go with the
statuses; every evaluator sees only these.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.dataclass import dataclass
from engine.expr import Call, Compare, Expr, IfElse, Literal, Name, Not, conjunction
from engine.model import Output, ProvisionKind, Text
from engine.types import BOOLEAN, DATE, MONEY, RATIO, Kind, Type

UNDETERMINED = "undetermined"

STATUSES: dict[ProvisionKind, tuple[str, ...]] = {
    ProvisionKind.ENTITLEMENT: (
        "eligible", "ineligible", "out_of_range", "exceeds_general_limit", "eligible_amount_unspecified",
        "not_applicable"),
    ProvisionKind.SANCTION: ("triggered", "not_triggered", "triggered_discretionary", "not_applicable"),
    ProvisionKind.DEADLINE: ("on_time", "late", "pending", "overdue", "not_applicable"),
    ProvisionKind.OBLIGATION: ("compliant", "breach", "not_applicable"),
    ProvisionKind.PROHIBITION: ("compliant", "breach", "not_applicable"),
    ProvisionKind.TARGET: ("met", "missed", "not_yet_due", "not_judged", "not_applicable"),
    ProvisionKind.PARAMETER: ("stated", "not_applicable"),
}  # fmt: skip

LABELS: dict[str, Text] = {
    "eligible": Text("符合条件", "eligible"),
    "ineligible": Text("不符合条件", "ineligible"),
    "out_of_range": Text("超出规定幅度", "out of range"),
    "exceeds_general_limit": Text("超过一般限额", "exceeds the general limit"),
    "eligible_amount_unspecified": Text("符合条件（金额未写明）", "eligible (amount not specified)"),
    "triggered": Text("应予处理", "triggered"),
    "not_triggered": Text("不予处理", "not triggered"),
    "triggered_discretionary": Text("可予处理（幅度由主管部门定）", "triggered (at the authority's discretion)"),
    "on_time": Text("按时完成", "on time"),
    "late": Text("逾期完成", "late"),
    "pending": Text("未到期", "pending"),
    "overdue": Text("已逾期未完成", "overdue"),
    "compliant": Text("合规", "compliant"),
    "breach": Text("违反规定", "breach"),
    "met": Text("完成目标", "met"),
    "missed": Text("未完成目标", "missed"),
    "not_yet_due": Text("考核期未满", "period not over"),
    "not_judged": Text("无明确界线，不作评判", "no bright line, not judged"),
    "stated": Text("条文所定", "stated"),
    "not_applicable": Text("不适用", "not applicable"),
    UNDETERMINED: Text("无法判定", "undetermined"),
}

ADVERSE = frozenset(
    ("breach", "triggered", "triggered_discretionary", "late", "overdue", "missed", "exceeds_general_limit")
)
"""Statuses that mean something was breached, cut or missed."""


WITH_MEASURES = frozenset(("triggered", "triggered_discretionary"))
"""Statuses whose outcome also says which measures follow."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A way an outcome can come about before the provision's ordinary case is reached."""

    when: Expr
    status: str
    outputs: tuple[Output, ...] = ()


@dataclass(frozen=True, slots=True)
class DeadlineFacts:
    """The facts in which a pack records that a duty was done, when, and the day it is judged on."""

    done: str
    done_on: str
    as_of: str


def status_expression(kind: ProvisionKind, branches: Sequence[Branch], last: Expr) -> Expr:
    """First match first; an undecided branch leaves the status open only where it matters."""
    of = status_type(kind)
    for branch in reversed(branches):
        last = IfElse(branch.when, Literal(branch.status, of), last, type=of)
    return last


def branch_outputs(branches: Sequence[Branch]) -> list[Output]:
    """The outputs of the branches; where several share a status, the first that holds gives the value."""
    found: dict[tuple[str, str], Output] = {}
    for branch in reversed(branches):
        for output in branch.outputs:
            key = (branch.status, output.name)
            later = found.get(key)
            expr = output.expr if later is None else IfElse(branch.when, output.expr, later.expr, type=output.expr.type)
            found[key] = Output(output.name, expr, output.statuses, output.required, output.label)
    return list(found.values())


def status_type(kind: ProvisionKind) -> Type:
    return Type(Kind.ENUM, values=STATUSES[kind])


def choose(kind: ProvisionKind, condition: Expr, yes: str, no: str) -> Expr:
    of = status_type(kind)
    return IfElse(condition, Literal(yes, of), Literal(no, of), type=of)


def not_applicable(applies: Expr | None) -> list[Branch]:
    return [] if applies is None else [Branch(_negate(applies), "not_applicable")]


def _negate(condition: Expr) -> Expr:
    return condition.operand if isinstance(condition, Not) else Not(condition, condition.at)


def entitlement(
    applies: Expr | None,
    requirements: Sequence[Expr],
    exceptions: Sequence[Branch],
    amount: Expr | None,
    unspecified: bool,
) -> tuple[Expr, list[Output]]:
    """Requirements first; then the exceptions in order; then the grant."""
    kind = ProvisionKind.ENTITLEMENT
    branches = not_applicable(applies)
    if requirements:
        branches.append(Branch(_negate(conjunction(list(requirements))), "ineligible"))
    branches += exceptions
    granted = "eligible_amount_unspecified" if unspecified else "eligible"
    outputs = branch_outputs(exceptions)
    if amount is not None:
        outputs += [
            Output("amount", amount, frozenset((granted,))),
            Output("amount", Literal(0, MONEY), frozenset(("ineligible",))),
        ]
    return status_expression(kind, branches, Literal(granted, status_type(kind))), outputs


def sanction(
    applies: Expr | None,
    triggers: Expr,
    exceptions: Sequence[Branch],
    rate: Expr | None,
    amount: Expr | None,
    amount_max: Expr | None,
) -> tuple[Expr, list[Output]]:
    kind = ProvisionKind.SANCTION
    yes = "triggered_discretionary" if amount_max is not None else "triggered"
    status = status_expression(
        kind, [*not_applicable(applies), *exceptions], choose(kind, triggers, yes, "not_triggered")
    )
    outputs = branch_outputs(exceptions)
    if rate is not None:
        outputs += [
            Output("rate", rate, frozenset((yes,))),
            Output("rate", Literal(0, RATIO), frozenset(("not_triggered",))),
        ]
    if amount is not None:
        outputs += [
            Output("amount", amount, frozenset((yes,))),
            Output("amount", Literal(0, MONEY), frozenset(("not_triggered",))),
        ]
    if amount_max is not None:
        outputs.append(Output("amount_max", amount_max, frozenset((yes,))))
    return status, outputs


DUE = Name("due_date", type=DATE, role="let")
"""The name a deadline's due date goes by in its own expressions."""


def deadline(applies: Expr | None, facts: DeadlineFacts) -> tuple[Expr, list[Output]]:
    """On time up to and including the due date, late after it; undone, pending until then and overdue after."""
    kind = ProvisionKind.DEADLINE
    done = Name(facts.done, type=BOOLEAN, role="fact")
    done_on, as_of = Name(facts.done_on, type=DATE, role="fact"), Name(facts.as_of, type=DATE, role="fact")
    ordinary = IfElse(
        done,
        choose(kind, Compare("<=", done_on, DUE), "on_time", "late"),
        choose(kind, Compare("<=", as_of, DUE), "pending", "overdue"),
        type=status_type(kind),
    )
    working = Type(Kind.QUANTITY, "工作日", integer=True)
    outputs = [
        Output("due_date", DUE),
        Output("workdays_over", Call("workdays_between", (DUE, done_on), type=working), frozenset(("late",)), False),
        Output("workdays_over", Call("workdays_between", (DUE, as_of), type=working), frozenset(("overdue",)), False),
    ]
    return status_expression(kind, not_applicable(applies), ordinary), outputs


def duty(kind: ProvisionKind, applies: Expr | None, condition: Expr) -> tuple[Expr, list[Output]]:
    """An obligation's duty, or what a prohibition forbids."""
    kept = condition if kind is ProvisionKind.OBLIGATION else _negate(condition)
    return status_expression(kind, not_applicable(applies), choose(kind, kept, "compliant", "breach")), []
