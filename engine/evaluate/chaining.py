"""Forward chaining over a dossier: facts → agenda → entitlements → exclusivity → what is paid.

Conditions are compiled from the normal form into rules for the engine behind `durable`: each
comparison's two sides become whole-number properties of a fact, worked out beforehand, and the
engine joins, tests and derives. What it derives is asserted back:

    a row meets a matter's condition            → the matter `arises` for the row
    it arises, and the claim meets a status     → an `outcome` with its amount and group
    a higher outcome in the same group          → the lower one `yields`
    an outcome that contains another's amount   → that one is `contained`
    an outcome that neither yields nor is contained → it is `paid`

The result is held against the reference evaluator's, outcome by outcome; a difference is an error
that shows both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from engine.assessing import given_values
from engine.dataclass import dataclass
from engine.dossier import AgendaEntry, DossierOutcome, Item, matter_inputs
from engine.errors import EvaluationError, Problem
from engine.evaluate.durable import NoVerdict, RuleBase
from engine.evaluate.durable_records import Absent, AllOf, Derive, Fact, OutsideSubset, Own, Pattern, Present, Ref, Rule
from engine.evaluate.durable_records import AnyOf as Either
from engine.evaluate.durable_records import Condition as EngineCondition
from engine.evaluate.durable_records import Test as EngineTest
from engine.evaluate.integers import Stored, term_value, truth_value
from engine.evaluate.worker import Worker, WorkerDied, unavailable_reason
from engine.kinds import STATUSES, UNDETERMINED
from engine.load import Pack
from engine.model import Case, Dossier, Matter, Provision, Text
from engine.normal import Plan, lower_condition, normal_form
from engine.stored import encode
from engine.terms import (
    INVERSE,
    MIRRORED,
    All,
    AnyOf,
    Choose,
    Condition,
    Const,
    Flag,
    Known,
    Negate,
    Term,
    Test,
    Truth,
    Word,
)
from engine.values import Value

Formula = bool | EngineCondition
"""A condition for the engine, or one that is always so or never."""


def all_of(parts: Sequence[Formula]) -> Formula:
    if any(part is False for part in parts):
        return False
    rest = tuple(part for part in parts if not isinstance(part, bool))
    return True if not rest else rest[0] if len(rest) == 1 else AllOf(rest)


def either(parts: Sequence[Formula]) -> Formula:
    if any(part is True for part in parts):
        return True
    rest = tuple(part for part in parts if not isinstance(part, bool))
    return False if not rest else rest[0] if len(rest) == 1 else Either(rest)


class Compiler:
    """Conditions in normal form as engine conditions over one fact type's properties.

    `properties` collects the terms and flags the conditions read; `row` gives their values.
    """

    def __init__(self, vocabulary: dict[str, int]) -> None:
        self.vocabulary = vocabulary
        self.terms: dict[Term | Condition, str] = {}

    def code(self, word: str) -> int:
        return self.vocabulary.setdefault(word, len(self.vocabulary))

    def prop(self, what: Term | Condition) -> str:
        return self.terms.setdefault(what, f"p{len(self.terms)}")

    def operand(self, term: Term) -> int | Own:
        match term:
            case Const(value):
                return value
            case Word(value):
                return self.code(value)
        return Own(self.prop(term))

    def formula(self, condition: Condition, wanted: bool) -> Formula:
        """When a three-valued condition is true (or, `wanted` False, false)."""
        match condition:
            case Truth(value):
                return value is wanted
            case Flag():
                return EngineTest("==", self.prop(condition), int(wanted))
            case Negate(part):
                return self.formula(part, not wanted)
            case All(parts) if wanted:
                return all_of([self.formula(part, True) for part in parts])
            case All(parts):
                return either([self.formula(part, False) for part in parts])
            case AnyOf(parts) if wanted:
                return either([self.formula(part, True) for part in parts])
            case AnyOf(parts):
                return all_of([self.formula(part, False) for part in parts])
            case Known(what):
                prop = self.prop(what)
                return Present(prop) if wanted else Absent(prop)
            case Test(op, left, right):
                if isinstance(left, (Const, Word)):
                    op, left, right = MIRRORED[op], right, left
                return EngineTest(op if wanted else INVERSE[op], self.prop(left), self.operand(right))

    def status(self, term: Term, status: str) -> Formula:
        """When a status term is a given status: by either branch, or by both where the condition is open."""
        match term:
            case Word(value):
                return value == status
            case Choose(condition, then, other):
                a, b = self.status(then, status), self.status(other, status)
                return either(
                    [
                        all_of([self.formula(condition, True), a]),
                        all_of([self.formula(condition, False), b]),
                        all_of([a, b]),
                    ]
                )
        return False

    def values(self, row: Mapping[str, Stored]) -> dict[str, int | None]:
        found: dict[str, int | None] = {}
        for what, prop in self.terms.items():
            if isinstance(what, (Truth, Flag, Test, All, AnyOf, Negate, Known)):
                truth = truth_value(what, row)
                found[prop] = None if truth is None else int(truth)
                continue
            value = term_value(what, row)
            found[prop] = self.code(value) if isinstance(value, str) else value
        return found


@dataclass(slots=True)
class _CompiledMatter:
    """One matter's claim: its plan, the properties it reads, and the amount term of each status."""

    matter: Matter
    provision: Provision
    plan: Plan
    compiler: Compiler
    amounts: dict[str, str | None]


class CompiledDossier:
    """A dossier's rules for the engine, for one day's parameters."""

    def __init__(self, pack: Pack, dossier: Dossier, on: date | None) -> None:
        self.pack, self.dossier, self.on = pack, dossier, on
        self.vocabulary: dict[str, int] = {}
        self.statuses = sorted({status for statuses in STATUSES.values() for status in statuses})
        self.rows = {name: Compiler(self.vocabulary) for name in dossier.records}
        self.matters: list[_CompiledMatter] = []
        rules: list[Rule] = []
        for number, matter in enumerate(dossier.matters):
            rules += self._agenda(number, matter)
            rules += self._outcomes(number, matter)
        rules += self._exclusivity()
        schema: dict[str, dict[str, bool]] = {
            "arises": {"matter": False, "row": False},
            "outcome": {"matter": False, "row": False, "status": False, "amount": True, "group": False},
            "yields": {"matter": False, "row": False},
            "contained": {"matter": False},
            "paid": {"matter": False, "row": False, "amount": True},
        }
        for name, compiler in self.rows.items():
            schema[f"row_{name}"] = {"row": False, **dict.fromkeys(compiler.terms.values(), True)}
        for number, compiled in enumerate(self.matters):
            schema[f"claim_{number}"] = {
                "row": False,
                "group": False,
                **dict.fromkeys(compiled.compiler.terms.values(), True),
            }
        self.rule_base = RuleBase(schema, rules)

    def _agenda(self, number: int, matter: Matter) -> list[Rule]:
        compiler = self.rows[matter.each]
        formula: Formula = True
        if matter.when is not None:
            formula = compiler.formula(lower_condition(matter.when, self.dossier.records[matter.each].fields), True)
        if formula is False:
            return []
        pattern = Pattern("r", f"row_{matter.each}", None if formula is True else formula)
        return [Rule(f"arises {number}", (pattern,), (), Derive("arises", {"matter": number, "row": Ref("r", "row")}))]

    def _outcomes(self, number: int, matter: Matter) -> list[Rule]:
        provision = self.pack.provision(matter.provision)
        parameters = {
            name: parameter.on(self.on) if self.on else None for name, parameter in provision.parameters.items()
        }
        plan = normal_form(provision, parameters)
        compiler = Compiler(self.vocabulary)
        compiled = _CompiledMatter(matter, provision, plan, compiler, {})
        self.matters.append(compiled)
        rules = []
        for status in STATUSES[provision.kind]:
            formula = compiler.status(plan.status, status)
            if formula is False:
                continue
            needed: list[Formula] = [formula]
            amount: int | Ref = 0
            for output in plan.outputs:
                if output.statuses is None or status not in output.statuses or not output.required:
                    continue
                if isinstance(output.value, Const) and output.name == "amount":
                    amount = output.value.value
                elif not isinstance(output.value, (Const, Word)):
                    prop = compiler.prop(output.value)
                    needed.append(Present(prop))
                    if output.name == "amount":
                        amount = Ref("c", prop)
            join = EngineTest("==", "row", Ref("a", "row"))
            body = all_of(needed)
            claim = Pattern("c", f"claim_{number}", join if body is True else AllOf((join, body)))  # type: ignore[arg-type]
            rules.append(
                Rule(
                    f"outcome {number} {status}",
                    (Pattern("a", "arises", EngineTest("==", "matter", number)), claim),
                    (),
                    Derive(
                        "outcome",
                        {
                            "matter": number,
                            "row": Ref("c", "row"),
                            "status": self.statuses.index(status),
                            "amount": amount,
                            "group": Ref("c", "group"),
                        },
                    ),
                )
            )
        return rules

    def _exclusivity(self) -> list[Rule]:
        first = Pattern("a", "outcome", None)
        same = (EngineTest("==", "matter", Ref("a", "matter")), EngineTest("==", "group", Ref("a", "group")))
        yields = Derive("yields", {"matter": Ref("a", "matter"), "row": Ref("a", "row")})
        rules = [
            Rule(
                "yields to a higher one",
                (first, Pattern("b", "outcome", AllOf((*same, EngineTest(">", "amount", Ref("a", "amount")))))),
                (),
                yields,
            ),
            Rule(
                "yields to an earlier equal",
                (
                    first,
                    Pattern(
                        "b",
                        "outcome",
                        AllOf(
                            (
                                *same,
                                EngineTest("==", "amount", Ref("a", "amount")),
                                EngineTest("<", "row", Ref("a", "row")),
                            )
                        ),
                    ),
                ),
                (),
                yields,
            ),
            Rule(
                "is paid",
                (first,),
                (
                    Pattern(
                        "y",
                        "yields",
                        AllOf(
                            (EngineTest("==", "matter", Ref("a", "matter")), EngineTest("==", "row", Ref("a", "row")))
                        ),
                    ),
                    Pattern("k", "contained", EngineTest("==", "matter", Ref("a", "matter"))),
                ),
                Derive("paid", {"matter": Ref("a", "matter"), "row": Ref("a", "row"), "amount": Ref("a", "amount")}),
            ),
        ]
        for number, matter in enumerate(self.dossier.matters):
            for place, other in enumerate(self.dossier.matters):
                if other.provision in matter.replaces:
                    rules.append(
                        Rule(
                            f"{number} contains {place}",
                            (Pattern("a", "outcome", EngineTest("==", "matter", number)),),
                            (),
                            Derive("contained", {"matter": place}),
                        )
                    )
        return rules

    def facts(self, case: Case, done: Sequence[Item], as_of: date | None, skipped: frozenset[str]) -> list[Fact]:
        """The case as the engine's facts: its rows, and a claim for each row a matter could be about.

        A provision in `skipped` was not submitted: nothing is claimed under it.
        """
        found = []
        for name, compiler in self.rows.items():
            fields = self.dossier.records[name].fields
            for place, row in enumerate(case.rows(name)):
                stored = {key: encode(row.values.get(key), field.type) for key, field in fields.items()}
                found.append(Fact(f"row_{name}", {"row": place, **compiler.values(stored)}))
        groups: dict[tuple[object, ...], int] = {}
        for number, compiled in enumerate(self.matters):
            if compiled.matter.provision in skipped:
                continue
            for place, row in enumerate(case.rows(compiled.matter.each)):
                values, _ = matter_inputs(case, compiled.matter, row, done)
                given = given_values(self.pack, compiled.provision, values, as_of)
                stored = {
                    key: encode(_with_default(given, key, field.default), field.type)
                    for key, field in compiled.provision.facts.items()
                }
                key: tuple[object, ...] = (number, "row", place)
                if compiled.matter.highest_of is not None:
                    parts = tuple(row.values.get(source.field) for source in compiled.matter.highest_of)
                    key = key if None in parts else (number, *parts)
                group = groups.setdefault(key, len(groups))
                found.append(
                    Fact(f"claim_{number}", {"row": place, "group": group, **compiled.compiler.values(stored)})
                )
        return found


def _with_default(values: Mapping[str, Value | None], name: str, default: Value | None) -> Value | None:
    return values.get(name, default)


class ChainingAgenda:
    """Builds each case's agenda with the forward-chaining engine and holds it against the reference.

    Where the engine is absent, dies, or a case lies outside what it is trusted with, the reference's
    agenda stands and `described` says how often and why.
    """

    def __init__(self, pack: Pack, worker: Worker | None = None, timeout: float = 20.0) -> None:
        self.pack, self.timeout = pack, timeout
        self.reason = unavailable_reason() if worker is None else None
        self.worker = worker if worker is not None else (Worker() if self.reason is None else None)
        self.compiled: dict[tuple[str, date | None], CompiledDossier] = {}
        self.chained, self.left = 0, 0

    def __enter__(self) -> ChainingAgenda:
        return self

    def __exit__(self, *_: object) -> None:
        if self.worker is not None:
            self.worker.close()

    def described(self) -> Text:
        if self.chained == 0:
            reason = f"：{self.reason}" if self.reason else ""
            reason_en = f": {self.reason}" if self.reason else ""
            return Text(
                f"案卷清单由参考求值器生成（未用前向链接引擎{reason}）",
                f"agendas built by the reference evaluator (no forward chaining{reason_en})",
            )
        zh = f"案卷清单由前向链接引擎（durable-rules）推得，{self.chained} 个案卷与参考求值器逐项一致"
        en = f"agendas derived by forward chaining (durable-rules): {self.chained} cases agree with the reference"
        if self.left:
            zh += f"；另 {self.left} 个只用参考求值器（{self.reason}）"
            en += f"; {self.left} more by the reference evaluator ({self.reason})"
        return Text(zh, en)

    def compare(
        self, dossier: Dossier, case: Case, agenda: Sequence[AgendaEntry], outcome: DossierOutcome, as_of: date | None
    ) -> None:
        """Errors (`EvaluationError`): `evaluators-disagree`."""
        if self.worker is None:
            return
        on = as_of or self.pack.reference_date
        try:
            compiled = self._compile(dossier, on)
            skipped = frozenset(identity for identity, _ in outcome.skipped)
            facts = compiled.facts(case, outcome.items, as_of, skipped)
            inference = self.worker.infer(compiled.rule_base, facts, self.timeout)
        except (OutsideSubset, NoVerdict, WorkerDied, ValueError) as error:
            self.left += 1
            self.reason = str(error)
            return
        except EvaluationError as error:  # a term beyond the calendar, on a side that the reference could do without
            self.left += 1
            self.reason = error.problems[0].message("zh")
            return
        derived = inference.facts[len(facts) :]
        _hold_against(compiled, derived, agenda, outcome)
        self.chained += 1

    def _compile(self, dossier: Dossier, on: date | None) -> CompiledDossier:
        key = (dossier.id, on)
        if key not in self.compiled:
            self.compiled[key] = CompiledDossier(self.pack, dossier, on)
        return self.compiled[key]


def _hold_against(
    compiled: CompiledDossier, derived: Sequence[Fact], agenda: Sequence[AgendaEntry], outcome: DossierOutcome
) -> None:
    """Every derived fact against the reference's item, and the other way round."""
    skipped = {identity for identity, _ in outcome.skipped}
    matters = compiled.dossier.matters
    arises = {_place(fact) for fact in derived if fact.fact_type == "arises"}
    arises = {place for place in arises if matters[place[0]].provision not in skipped}
    expected = {(entry.matter, entry.row) for entry in agenda if not entry.open_facts}
    for matter, row in sorted(arises ^ expected):
        words = ("arises", "does not arise") if (matter, row) in arises else ("does not arise", "arises")
        _disagree(matters[matter].provision, f"row {row + 1} {words[0]}", f"row {row + 1} {words[1]}")
    found: dict[tuple[int, int], list[Fact]] = {}
    for fact in derived:
        if fact.fact_type == "outcome":
            found.setdefault(_place(fact), []).append(fact)
    paid = {_place(fact): fact.values["amount"] for fact in derived if fact.fact_type == "paid"}
    certain = outcome.total is not None
    for entry, item in zip(agenda, outcome.items, strict=True):
        key = (entry.matter, entry.row)
        chained = [(compiled.statuses[fact.values["status"]], fact.values["amount"]) for fact in found.get(key, [])]  # type: ignore[index]
        if item.outcome.status == UNDETERMINED:
            if chained:
                _disagree(item.matter.provision, str(chained[0]), UNDETERMINED)
            continue
        reference = (item.outcome.status, item.outcome.values.get("amount", 0))
        if chained != [reference]:
            _disagree(item.matter.provision, str(chained), str(reference))
        if certain and paid.get(key, 0) != item.paid:
            _disagree(item.matter.provision, f"paid {paid.get(key, 0)}", f"paid {item.paid}")


def _place(fact: Fact) -> tuple[int, int]:
    """The matter and row a derived fact is about."""
    matter, row = fact.values["matter"], fact.values["row"]
    assert matter is not None, "every derived fact names its matter"
    assert row is not None, "and its row"
    return matter, row


def _disagree(provision: str, chained: str, reference: str) -> None:
    raise EvaluationError(
        Problem(
            "evaluators-disagree",
            fields={
                "provision": provision,
                "left_name": "chaining",
                "left": chained,
                "right_name": "reference",
                "right": reference,
            },
        )
    )
