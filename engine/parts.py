"""What a provision is made of, for those who examine rules: the expressions that decide, the ways through them.

No evaluation and no solver here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from engine.expr import Call, Expr, IfElse, Name, Not, children, walk
from engine.kinds import STATUSES
from engine.load import Pack
from engine.model import DecisionTable, Provision, ProvisionKind

EFFECTS: dict[ProvisionKind, tuple[str, ...]] = {
    ProvisionKind.ENTITLEMENT: ("eligible", "eligible_amount_unspecified"),
    ProvisionKind.SANCTION: ("triggered", "triggered_discretionary"),
    ProvisionKind.DEADLINE: ("on_time",), ProvisionKind.OBLIGATION: ("compliant",),
    ProvisionKind.PROHIBITION: ("compliant",), ProvisionKind.TARGET: ("met",), ProvisionKind.PARAMETER: ("stated",),
}  # fmt: skip
"""The statuses in which a provision takes effect, for `monotone` and `exclusive`."""


def statuses_of(provision: Provision) -> tuple[str, ...]:
    """Every status a provision of its kind can have."""
    return STATUSES[provision.kind]


def period_of(pack: Pack, provision: Provision) -> tuple[date, date] | None:
    """The days on which the provision is used: its own period, else the pack's; an open end is the reference day."""
    start = provision.in_force[0] or pack.in_force[0] or pack.reference_date
    end = provision.in_force[1] or pack.in_force[1] or pack.reference_date
    return None if start is None or end is None else (start, max(start, end))


def expressions(provision: Provision) -> list[Expr]:
    """What decides an outcome: the status, the outputs, the measures and the lets they read, in that order."""
    found = [
        provision.status,
        *(output.expr for output in provision.outputs),
        *(measure.condition for measure in provision.measures if measure.condition is not None),
    ]
    lets = {let.name: let for let in provision.lets}
    seen: set[str] = set()
    queue = list(found)
    while queue:
        for node in walk(queue.pop(0)):
            if isinstance(node, Name) and node.name in lets and node.name not in seen:
                seen.add(node.name)
                found.append(lets[node.name].expr)
                queue.append(lets[node.name].expr)
    return found


def branches(expr: Expr, path: tuple[Expr, ...] = ()) -> Iterator[tuple[tuple[Expr, ...], Expr]]:
    """Every condition an expression turns on, with the conditions that lead to it."""
    if isinstance(expr, IfElse):
        yield path, expr.condition
        yield from branches(expr.condition, path)
        yield from branches(expr.then, (*path, expr.condition))
        yield from branches(expr.other, (*path, Not(expr.condition)))
        return
    for part in children(expr):
        yield from branches(part, path)


def tables_of(provision: Provision) -> list[DecisionTable]:
    found: dict[int, DecisionTable] = {}
    for let in provision.lets:
        if let.table is not None:
            found[id(let.table)] = let.table
    return list(found.values())


def open_facts(provision: Provision) -> set[str]:
    """Facts about which a rule asks whether they are known; all others are taken as known."""
    lets = {let.name: let.expr for let in provision.lets}

    def facts(expr: Expr) -> Iterator[str]:
        for node in walk(expr):
            if isinstance(node, Name):
                if node.name in lets:
                    yield from facts(lets[node.name])
                else:
                    yield node.name

    return {
        name
        for expr in expressions(provision)
        for node in walk(expr)
        if isinstance(node, Call) and node.function == "is_known"
        for name in facts(node.arguments[0])
        if name in provision.facts
    }


def reads_facts(provision: Provision, expr: Expr) -> bool:
    """Whether an expression depends on the case at all; one that does not says something of the text."""
    lets = {let.name: let.expr for let in provision.lets}
    return any(
        node.name in provision.facts or (node.name in lets and reads_facts(provision, lets[node.name]))
        for node in walk(expr)
        if isinstance(node, Name)
    )


def parameters_of(provision: Provision) -> set[str]:
    """The parameters an outcome depends on."""
    return {
        node.name
        for expr in expressions(provision)
        for node in walk(expr)
        if isinstance(node, Name) and node.role == "parameter"
    }
