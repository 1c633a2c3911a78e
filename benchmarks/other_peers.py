"""The workloads in OpenFisca, PolicyEngine, zen-engine, rule-engine and durable-rules, by their own documentation.

The first two are columnar and keep money as 32-bit floats of yuan, which is what they offer; the
others decide one row at a time. Only what a peer can say is asked of it: `peers_for` lists that.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from benchmarks.column_peers import calendar
from benchmarks.workloads import REWARDS, Workload

Run = Callable[[], dict[str, Any]]
ROW_PEERS = ("zen-engine", "rule-engine", "durable-rules", "python")


def asked_of(peer: str, workload: Workload) -> tuple[str, ...]:
    """The outputs a peer is asked for: row-at-a-time engines cannot compare rows, nor look up working days."""
    if peer in ("zen-engine", "rule-engine", "durable-rules"):
        return {"budget": ("amount",), "rewards": ("award",), "growth": ("amount",)}.get(workload.name, ())
    if peer in ("openfisca", "policyengine") and workload.name == "rewards":
        return ("award",)
    return tuple(name for name in workload.outputs if name != "status")


# OpenFisca and PolicyEngine


def prepare_fisca(workload: Workload, frame: pl.DataFrame, flavour: str) -> Run:
    """A country package with one entity; the formulas are vectorised, as both ask for."""
    from importlib import import_module

    root = "openfisca_core" if flavour == "openfisca" else "policyengine_core"
    build_entity = import_module(f"{root}.entities").build_entity
    variable = import_module(f"{root}.variables").Variable
    system_type = import_module(f"{root}.taxbenefitsystems").TaxBenefitSystem
    periods = import_module(f"{root}.periods")
    year = periods.DateUnit.YEAR if hasattr(periods, "DateUnit") else import_module(f"{root}.model_api").YEAR
    builder_module = f"{root}.simulation_builder" if flavour == "openfisca" else f"{root}.simulations"
    builder_type = import_module(builder_module).SimulationBuilder
    row = build_entity(key="row", plural="rows", label="row", is_person=True)
    system = system_type([row])

    def add(name: str, of: type, formula: Callable[..., Any] | None = None) -> None:
        body: dict[str, Any] = {"value_type": of, "entity": row, "definition_period": year, "label": name}
        if formula is not None:
            body["formula"] = formula
        system.add_variable(type(name, (variable,), body))

    columns = {
        name: frame.get_column(name).fill_null(0 if kind.is_integer() else False).to_numpy()
        for name, kind in frame.schema.items()
    }
    outputs = asked_of(flavour, workload)
    money = [name for name in columns if name.endswith(("amount", "funds", "previous", "current"))]
    for name, values in columns.items():
        add(name, float if name in money else bool if values.dtype == bool else int)
    for name, of, formula in _FISCA[workload.name]:
        add(name, of, formula)

    def run() -> dict[str, Any]:
        simulation = builder_type().build_default_simulation(system, count=frame.height)
        for name, values in columns.items():
            simulation.set_input(name, "2019", values / 100 if name in money else values)
        found = {name: simulation.calculate(name, "2019") for name in outputs}
        return {
            name: np.rint(values.astype(np.float64) * 100) if name in ("amount", "award") else values
            for name, values in found.items()
        }

    return run


def _rate(row: Any, period: Any) -> Any:
    raised, task = row("raised_amount", period), row("task_amount", period)
    return np.select(
        [
            ~row("has_task", period) | (task <= 0),
            raised < task * 0.85,
            raised < task * 0.9,
            raised < task * 0.95,
            raised < task,
        ],
        [0, 10, 8, 5, 3],
        0,
    )


def _subsidy(row: Any, period: Any) -> Any:
    before, now = row("main_revenue_previous", period), row("main_revenue_current", period)
    more, strategic = now - before, row("strategic_emerging", period)
    subsidy = np.minimum(more * np.where(strategic, 0.003, 0.002), np.where(strategic, 600_000, 500_000))
    holds = row("above_scale_industrial", period) & (now >= before * 1.15) & (more > 5_000_000)
    return np.where(holds, subsidy, 0)


def _due(row: Any, period: Any) -> Any:
    base, passed, working = calendar()
    return working[passed[row("document_received_on", period) - base] + 4]


def _over(row: Any, period: Any) -> Any:
    base, passed, _ = calendar()
    due = row("due_date", period)
    end = np.where(row("submitted", period), row("submitted_on", period), row("as_of", period))
    return np.maximum(0, passed[end - base] - passed[due - base])


_FISCA: dict[str, list[tuple[str, type, Callable[..., Any]]]] = {
    "budget": [
        ("rate", int, _rate),
        ("amount", float, lambda row, period: row("next_year_public_funds", period) * row("rate", period) / 100),
    ],
    "rewards": [
        (
            "award",
            float,
            lambda row, period: (
                np.array(REWARDS)[row("promotion", period)] / 100 * (row("registered", period) & row("first", period))
            ),
        )
    ],
    "growth": [("amount", float, _subsidy)],
    "deadlines": [("due_date", int, _due), ("workdays_over", int, _over)],
}


# Row by row


def prepare_rows(workload: Workload, frame: pl.DataFrame, peer: str) -> Run:
    """A loop over the rows as dictionaries, which is what these engines take."""
    rows = frame.to_dicts()
    outputs = asked_of(peer, workload)
    if peer == "python":
        return lambda: workload.oracle(rows)
    if peer == "durable-rules":
        return _durable(workload, rows, outputs)
    decide = {"zen-engine": _zen, "rule-engine": _rule_engine}[peer](workload)
    return lambda: {outputs[0]: [decide(row) for row in rows]}


_ZEN = {
    "budget": (
        [
            ("ok", "has_task and task_amount > 0 and (raised_amount ?? -1) >= 0"),
            ("completion", "(raised_amount ?? 0) / max([task_amount, 1])"),
        ],
        ["ok", "completion"],
        ["rate"],
        [
            (["true", "< 0.85"], ["10"]),
            (["true", "[0.85..0.90)"], ["8"]),
            (["true", "[0.90..0.95)"], ["5"]),
            (["true", "[0.95..1)"], ["3"]),
            (["", ""], ["0"]),
        ],
        [("amount", "ok ? floor((next_year_public_funds * rate + 50) / 100) : null")],
    ),
    "rewards": (
        [("ok", "registered and first")],
        ["ok", "promotion"],
        ["award"],
        [(["true", str(place)], [str(fen)]) for place, fen in enumerate(REWARDS)] + [(["", ""], ["0"])],
        [],
    ),
    "growth": (
        [
            ("more", "main_revenue_current - main_revenue_previous"),
            (
                "ok",
                (
                    "above_scale_industrial and main_revenue_current * 100 >= main_revenue_previous * 115 and "
                    "main_revenue_current - main_revenue_previous > 500000000"
                ),
            ),
        ],
        ["ok", "strategic_emerging"],
        ["permille", "ceiling"],
        [(["true", "true"], ["3", "60000000"]), (["true", "false"], ["2", "50000000"]), (["", ""], ["0", "0"])],
        [("amount", "min([floor((more * permille + 500) / 1000), ceiling])")],
    ),
}


def _zen(workload: Workload) -> Callable[[dict[str, Any]], Any]:
    import zen

    before, inputs, outputs, rules, after = _ZEN[workload.name]
    nodes: list[dict[str, Any]] = [{"id": "in", "name": "in", "type": "inputNode"}]

    def expressions(name: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
        content = {
            "passThrough": True,
            "expressions": [
                {"id": f"{name}{place}", "key": key, "value": value} for place, (key, value) in enumerate(pairs)
            ],
        }
        return {"id": name, "name": name, "type": "expressionNode", "content": content}

    nodes.append(expressions("before", before))
    nodes.append(
        {
            "id": "table",
            "name": "table",
            "type": "decisionTableNode",
            "content": {
                "hitPolicy": "first",
                "passThrough": True,
                "inputs": [{"id": f"i{place}", "name": field, "field": field} for place, field in enumerate(inputs)],
                "outputs": [{"id": f"o{place}", "name": field, "field": field} for place, field in enumerate(outputs)],
                "rules": [
                    {
                        "_id": f"r{place}",
                        **{f"i{at}": text for at, text in enumerate(tests)},
                        **{f"o{at}": text for at, text in enumerate(results)},
                    }
                    for place, (tests, results) in enumerate(rules)
                ],
            },
        }
    )
    if after:
        nodes.append(expressions("after", after))
    nodes.append({"id": "out", "name": "out", "type": "outputNode"})
    for node in nodes:
        node["position"] = {"x": 0, "y": 0}
    edges = [
        {"id": f"e{place}", "type": "edge", "sourceId": one["id"], "targetId": other["id"]}
        for place, (one, other) in enumerate(itertools.pairwise(nodes))
    ]
    content = {"contentType": "application/vnd.gorules.decision", "nodes": nodes, "edges": edges}
    engine = zen.ZenEngine({"loader": {"type": "static", "content": {"rule": content}}})
    name = asked_of("zen-engine", workload)[0]

    def decide(row: dict[str, Any]) -> Any:
        found = engine.evaluate("rule", row)["result"].get(name)
        return None if found is None else int(found)

    return decide


def _rule_engine(workload: Workload) -> Callable[[dict[str, Any]], Any]:
    import rule_engine

    if workload.name == "budget":
        none = rule_engine.Rule("not has_task or task_amount <= 0 or raised_amount == null")
        rules = [
            (rule_engine.Rule(f"raised_amount * 100 < task_amount * {limit}"), cut)
            for limit, cut in ((85, 10), (90, 8), (95, 5), (100, 3))
        ]

        def budget(row: dict[str, Any]) -> Any:
            if none.matches(row):
                return None
            rate = next((cut for rule, cut in rules if rule.matches(row)), 0)
            return (row["next_year_public_funds"] * rate + 50) // 100

        return budget
    if workload.name == "rewards":
        holds = rule_engine.Rule("registered and first")
        return lambda row: REWARDS[row["promotion"]] if holds.matches(row) else 0
    grows = rule_engine.Rule(
        "above_scale_industrial and main_revenue_current * 100 >= main_revenue_previous * 115 and "
        "main_revenue_current - main_revenue_previous > 500000000"
    )

    def growth(row: dict[str, Any]) -> Any:
        if not grows.matches(row):
            return 0
        permille, ceiling = (3, 60_000_000) if row["strategic_emerging"] else (2, 50_000_000)
        return min(((row["main_revenue_current"] - row["main_revenue_previous"]) * permille + 500) // 1000, ceiling)

    return growth


def _durable(workload: Workload, rows: list[dict[str, Any]], outputs: tuple[str, ...]) -> Run:
    """Its conditions cannot multiply: comparisons of products are given to it as facts."""
    from durable.engine import MessageNotHandledException
    from durable.lang import m, post, ruleset, when_all

    found: dict[str, Any] = {}
    name = f"bench_{workload.name}"
    with ruleset(name):
        if workload.name == "budget":
            for place, (limit, cut) in enumerate(((85, 10), (90, 8), (95, 5), (100, 3))):
                low = (0, 85, 90, 95)[place]

                reached, passed = _field(m, f"below{limit}"), _field(m, f"below{low}")

                when_all((m.has_task == True) & (reached == True) & (passed == False))(  # noqa: E712
                    _setter(found, cut)
                )
        elif workload.name == "rewards":

            @when_all((m.registered == True) & (m.first == True))  # noqa: E712
            def rewarded(c: Any) -> None:
                found["rate"] = 1
        else:

            @when_all((m.above_scale_industrial == True) & (m.grew == True) & (m.more > 500_000_000))  # noqa: E712
            def grown(c: Any) -> None:
                found["rate"] = 1

    def decide(row: dict[str, Any]) -> Any:
        found.clear()
        if workload.name == "budget":
            task, raised = row["task_amount"], row["raised_amount"]
            if not row["has_task"] or task <= 0 or raised is None:
                return None
            facts = {"has_task": True, "below0": False} | {
                f"below{limit}": raised * 100 < task * limit for limit in (85, 90, 95, 100)
            }
        elif workload.name == "rewards":
            facts = {"registered": row["registered"], "first": row["first"]}
        else:
            before, now = row["main_revenue_previous"], row["main_revenue_current"]
            facts = {
                "above_scale_industrial": row["above_scale_industrial"],
                "grew": now * 100 >= before * 115,
                "more": now - before,
            }
        with contextlib.suppress(MessageNotHandledException):  # raised where no rule takes the event
            post(name, facts)
        return _durable_result(workload, row, found)

    return lambda: {outputs[0]: [decide(row) for row in rows]}


def _setter(found: dict[str, Any], rate: int) -> Callable[[Any], None]:
    def taken(c: Any) -> None:
        found["rate"] = rate

    return taken


def _field(message: Any, name: str) -> Any:
    """`m.name`: an attribute asked for anew each time, as the library's conditions keep state."""
    return message.__getattr__(name)


def _durable_result(workload: Workload, row: dict[str, Any], found: dict[str, Any]) -> Any:
    if workload.name == "budget":
        return (row["next_year_public_funds"] * found.get("rate", 0) + 50) // 100
    if not found:
        return 0
    if workload.name == "rewards":
        return REWARDS[row["promotion"]]
    permille, ceiling = (3, 60_000_000) if row["strategic_emerging"] else (2, 50_000_000)
    return min(((row["main_revenue_current"] - row["main_revenue_previous"]) * permille + 500) // 1000, ceiling)
