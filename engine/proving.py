"""The questions about one provision, with the parameters of one day, put to the solver.

Holes, overlaps, rows and conditions that can never hold, results below zero or above their cap, results
that move against what is declared. A case the solver names is put to the reference evaluator first.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from engine.declared import Claims
from engine.encoding import Encoded
from engine.evaluate.python import Unknown, evaluate
from engine.expr import Call, Compare, Expr, Literal, Not, conjunction, names, show, walk
from engine.findings import Finding, outcome_text
from engine.kinds import LABELS, UNDETERMINED
from engine.load import Pack
from engine.model import DecisionTable, Provision, ProvisionKind
from engine.outcome import names_of
from engine.parts import EFFECTS, branches, expressions, open_facts, reads_facts, statuses_of, tables_of
from engine.solver import Formula, Questions, Space, Undecided, both, either, negation, pick
from engine.source import NOWHERE, Location
from engine.tables import shown_row
from engine.types import Kind
from engine.values import Value, value_text
from engine.witness import Witness, witness

Exact = int | Fraction
RESULTS = ("amount", "amount_max", "rate")
MANY_ROWS = 60


class Reporter:
    """Where findings about one provision go, and questions are counted."""

    def __init__(self, pack: Pack, provision: Provision, claims: Claims) -> None:
        self.pack, self.provision, self.claims = pack, provision, claims
        self.findings: list[Finding] = []
        self.questions = 0

    def report(
        self,
        code: str,
        at: Location,
        about: str,
        fields: Mapping[str, Any],
        cases: Sequence[Witness],
        confirmed: bool = True,
    ) -> None:
        """A finding; one that the reference evaluator does not confirm is reported as such."""
        if not confirmed:
            self.findings.append(
                Finding("solver-disagrees", at, self.provision.id, f"{code} {about}", fields, tuple(cases))
            )
            return
        self.findings.append(
            Finding(code, at if at.file else self.provision.at, self.provision.id, about, fields, tuple(cases))
        )

    def not_proved(
        self, about: str, zh: str = "求解器未能得出结论", en: str = "the solver gave up", at: Location = NOWHERE
    ) -> None:
        self.findings.append(
            Finding(
                "not-proved",
                at if at.file else self.provision.at,
                self.provision.id,
                about,
                {"reason_zh": zh, "reason_en": en},
                severity="warning",
            )
        )

    def ask(self, questions: Questions, about: str, *formulas: Formula, simple: bool = True) -> Any | None:
        """A model, or None where there is none or (reported) where that is not known."""
        self.questions += 1
        try:
            return questions.simple_case(*formulas) if simple else questions.case(*formulas)
        except Undecided:
            self.not_proved(about)
            return None


class DayCheck:
    """The questions to the solver about a provision with one day's parameters."""

    def __init__(
        self, owner: Reporter, provision: Provision, day: date | None, reading: tuple[str, int] | None = None
    ) -> None:
        self.owner, self.provision, self.day, self.reading = owner, provision, day, reading
        self.core_only = reading is not None
        self.tables = tables_of(provision)
        self.probes: dict[str, Expr] = {}
        self.places: dict[str, Expr] = {}
        self._plan_probes()
        known = {*provision.facts, *provision.parameters, *(let.name for let in provision.lets)}
        produced = {output.name for output in provision.outputs}
        self.at_most = {  # another reading may lack the result, or what its cap is worked out from
            name: (bound, at)
            for name, (bound, at) in owner.claims.at_most.items()
            if name in produced and names(bound) <= known
        }
        self.probes |= {f"cap {name}": bound for name, (bound, _) in self.at_most.items()}
        self.space = Space(open_facts(provision), day)
        self.encoded = Encoded(self.space, provision, day, self.probes)
        self.questions = Questions(self.space)
        applies = self.encoded.condition("applies").yes if provision.applies is not None else True
        self.applies: Formula = applies

    def _plan_probes(self) -> None:
        for number, table in enumerate(self.tables):
            for place, row in enumerate(table.rows):
                self.probes[f"row {number} {place}"] = conjunction([test for test in row.tests if test is not None])
        if self.provision.applies is not None:
            self.probes["applies"] = self.provision.applies
        self.conditions = self._conditions()
        for name, (path, condition) in self.conditions.items():
            self.probes[name] = condition
            for step, part in enumerate(path):
                self.probes[f"{name} path {step}"] = part

    def _conditions(self) -> dict[str, tuple[tuple[Expr, ...], Expr]]:
        """Conditions the pack writes outside tables, by a name: what leads to each, and itself."""
        if self.core_only:
            return {}
        found: dict[str, tuple[tuple[Expr, ...], Expr]] = {}
        seen: set[tuple[str, Expr, tuple[Expr, ...]]] = set()

        def add(kind: str, path: tuple[Expr, ...], condition: Expr) -> None:
            key = (str(condition.at), condition, path)
            if condition.at.file and key not in seen and reads_facts(self.provision, condition):
                seen.add(key)
                found[f"{kind} {len(found)}"] = (path, condition)

        tabled = {id(let.expr) for let in self.provision.lets if let.table is not None}
        exprs = [expr for expr in expressions(self.provision) if id(expr) not in tabled]
        roots = [requirement.condition for requirement in self.provision.requirements]
        for expr in (*roots, *exprs):
            for node in walk(expr):
                if isinstance(node, Compare) or (isinstance(node, Call) and node.function == "is_known"):
                    add("atom", (), node)
        for root in roots:
            add("requirement", (), root)
        whole = conjunction(roots)
        for expr in exprs:
            for path, condition in branches(expr):
                if len(roots) == 1 or condition not in (whole, Not(whole)):  # all together: see `statuses`
                    add("branch", path, condition)
        return found

    def check(self) -> None:
        self.holes()
        for number, table in enumerate(self.tables):
            self.overlaps(number, table)
            if not self.core_only:  # another reading may leave rows of the table aside
                self.rows(number, table)
        self.results()
        self.caps()
        if self.core_only:
            return
        self.hold()
        self.statuses()
        self.monotone()

    # Helpers

    def values(self, model: Any) -> dict[str, Value | None]:
        return self.space.values(model)

    def case(self, model: Any) -> Witness:
        shown = self.day if self.day != self.owner.pack.reference_date else None
        return witness(self.provision, self.values(model), self.day, shown, self.reading)

    def about(self, text: str) -> str:
        """What a finding is about, with the reading where it is not the chosen one."""
        return text if self.reading is None else f"{text} (reading {self.reading[0]}={self.reading[1]})"

    def report(
        self,
        code: str,
        at: Location,
        about: str,
        fields: Mapping[str, Any],
        cases: Sequence[Witness],
        confirmed: bool = True,
    ) -> None:
        self.owner.report(code, at, self.about(about), fields, cases, confirmed)

    def holds(self, expr: Expr, case: Witness) -> bool:
        """Whether the reference evaluator finds a condition true in a case."""
        return evaluate(expr, names_of(self.provision, case.values, self.day)) is True

    def ask(self, about: str, *formulas: Formula, simple: bool = True) -> Any | None:
        return self.owner.ask(self.questions, self.about(about), *formulas, simple=simple)

    def row_guard(self, number: int, place: int) -> Formula:
        return self.encoded.condition(f"row {number} {place}").yes

    # Questions

    def holes(self) -> None:
        """Every fact known, and yet no outcome."""
        complete = [variable.known for variable in self.space.variables.values()]
        matched = []
        for number, table in enumerate(self.tables):
            guards = [self.row_guard(number, place) for place in range(len(table.rows))]
            some = True if table.default is not None or table.hit in ("sum", "count") else either(*guards)
            matched.append(some)
            model = self.ask("table-gap", *complete, negation(self.encoded.settled), negation(some))
            if model is not None:
                case = self.case(model)
                shown = ", ".join(f"{show(column)} = {self._column(column, case)}" for column in table.columns)
                self.report("table-gap", table.at, shown, {"case": shown}, [case], _is_open(case))
        model = self.ask("no-result", *complete, negation(self.encoded.settled), *matched)
        if model is not None:
            case = self.case(model)
            reasons = case.outcome.reasons if case.outcome is not None else ()
            self.report(
                "no-result",
                self.provision.at,
                reasons[0].en if reasons else "",
                {
                    "reason_zh": "；".join(reason.zh for reason in reasons) or "原因未写明",
                    "reason_en": "; ".join(reason.en for reason in reasons) or "no reason given",
                },
                [case],
                _is_open(case),
            )

    def _column(self, column: Expr, case: Witness) -> str:
        found = evaluate(column, names_of(self.provision, case.values, self.day))
        return "?" if isinstance(found, Unknown) else value_text(found, column.type)

    def overlaps(self, number: int, table: DecisionTable) -> None:
        """Two rows that match at once where the hit policy forbids it."""
        if table.hit not in ("unique", "any"):
            return
        guards = [self.row_guard(number, place) for place in range(len(table.rows))]
        pairs = [
            (a, b)
            for a, b in itertools.combinations(range(len(guards)), 2)
            if table.hit == "unique" or table.rows[a].outputs != table.rows[b].outputs
        ]
        if len(guards) > MANY_ROWS and all(_is_key(test) for row in table.rows for test in row.tests):
            return  # plain keys, told apart when the pack was read
        excluded: list[Formula] = []
        for _ in range(8):
            model = self.ask(
                "table-overlap", self.applies, either(*(both(guards[a], guards[b]) for a, b in pairs)), *excluded
            )
            if model is None:
                return
            case = self.case(model)
            hit = [place for place in range(len(guards)) if self._row_holds(table, place, case)]
            pair = next(((a, b) for a, b in pairs if a in hit and b in hit), None)
            if pair is None:
                self.report(
                    "table-overlap",
                    table.at,
                    "",
                    {"policy": table.hit, "first": 0, "second": 0, "case": ""},
                    [case],
                    False,
                )
                return
            first, second = pair
            shown = ", ".join(f"{show(column)} = {self._column(column, case)}" for column in table.columns)
            self.report(
                "table-overlap",
                table.rows[second].at,
                shown_row(table.rows[second]),
                {"policy": table.hit, "first": first + 1, "second": second + 1, "case": shown},
                [case],
            )
            excluded.append(negation(both(guards[first], guards[second])))

    def _row_holds(self, table: DecisionTable, place: int, case: Witness) -> bool:
        return all(self.holds(test, case) for test in table.rows[place].tests if test is not None)

    def rows(self, number: int, table: DecisionTable) -> None:
        """Rows that no case reaches."""
        goals: dict[str, Formula] = {}
        for place in range(len(table.rows)):
            before = range(place) if table.hit == "first" else ()
            earlier = [negation(self.row_guard(number, other)) for other in before]
            goals[str(place)] = both(self.row_guard(number, place), *earlier)
        self.owner.questions += len(goals)
        for name, model in self.questions.reach(goals, self.applies).items():
            if model is Undecided:
                self.owner.not_proved(f"row {int(name) + 1}", at=table.rows[int(name)].at)
            elif model is None:
                row = table.rows[int(name)]
                tests = [test for test in row.tests if test is not None]
                case = self.nearest([self.row_guard(number, int(name)), *self.parts(tests)])
                self.report(
                    "table-row-unreachable",
                    row.at,
                    shown_row(row),
                    {"row": int(name) + 1},
                    [] if case is None else [case],
                )

    def parts(self, tests: list[Expr]) -> list[Formula]:
        """The single tests of a row, asked in a space of their own names."""
        encoded = Encoded(self.space, self.provision, self.day, {str(n): test for n, test in enumerate(tests)})
        return [encoded.condition(str(number)).yes for number in range(len(tests))]

    def nearest(self, wishes: Sequence[Formula]) -> Witness | None:
        """A case that meets as many wishes as it can, in their order."""
        kept: list[Formula] = [self.applies]
        for wish in wishes:
            try:
                if self.questions.case(*kept, wish) is not None:
                    kept.append(wish)
            except Undecided:
                continue
        try:
            model = self.questions.simple_case(*kept)
        except Undecided:
            return None
        return None if model is None else self.case(model)

    def hold(self) -> None:
        """Conditions that can never hold, or never fail, and branches that no case takes."""
        goals: dict[str, Formula] = {}
        for name, (path, _) in self.conditions.items():
            lead = [self.encoded.condition(f"{name} path {step}").yes for step in range(len(path))]
            test = self.encoded.condition(name)
            context = [] if self._in_applies(name) else [self.applies]
            goals[f"yes {name}"] = both(*context, *lead, test.yes)
            goals[f"no {name}"] = both(*context, *lead, test.no)
        self.owner.questions += len(goals)
        found = self.questions.reach(goals)
        reported: set[Expr] = set()
        for name, (path, condition) in self.conditions.items():
            yes, no = found[f"yes {name}"], found[f"no {name}"]
            if yes is Undecided or no is Undecided:
                self.owner.not_proved(show(condition), at=condition.at)
            if yes is not None and no is not None:
                continue
            if any(node in reported for node in walk(condition)):
                continue
            reported.add(condition)
            reported.add(condition.operand if isinstance(condition, Not) else Not(condition))
            case = self.nearest([either(self.encoded.condition(name).yes, self.encoded.condition(name).no)])
            cases = [] if case is None else [case]
            if path:
                taken = yes is None
                self.report(
                    "branch-never",
                    condition.at,
                    show(condition),
                    {"side_zh": "真" if taken else "假", "side_en": "true" if taken else "false"},
                    cases,
                )
            else:
                self.report(
                    "condition-never" if yes is None else "condition-always", condition.at, show(condition), {}, cases
                )

    def _in_applies(self, name: str) -> bool:
        applies = self.provision.applies
        condition = self.conditions[name][1]
        if applies is None:
            return False
        return condition == Not(applies) or any(node == condition and node.at == condition.at for node in walk(applies))

    def statuses(self) -> None:
        """Statuses the provision names that no case comes to."""
        if self.provision.kind in (ProvisionKind.TARGET, ProvisionKind.DEADLINE):
            return
        closer = ("condition-never", "condition-always", "branch-never")
        if any(finding.code in closer for finding in self.owner.findings):
            return
        named = sorted(
            {
                str(node.value)
                for node in walk(self.provision.status)
                if isinstance(node, Literal) and node.value in statuses_of(self.provision)
            }
        )
        goals = {status: both(self.encoded.settled, self.encoded.has_status((status,))) for status in named}
        self.owner.questions += len(goals)
        for status, model in self.questions.reach(goals).items():
            if model is Undecided:
                self.owner.not_proved(status)
            elif model is None:
                case = self.nearest([self.encoded.settled])
                label = LABELS[status]
                self.report(
                    "status-never",
                    self.provision.at,
                    status,
                    {"status_zh": label.zh, "status_en": label.get("en")},
                    [] if case is None else [case],
                )

    def results(self) -> None:
        """Results below zero."""
        for name, shown in self.encoded.outputs.items():
            if name not in RESULTS and (shown.kind is not Kind.MONEY or self.core_only):
                continue
            model = self.ask(f"{name} < 0", shown.present, shown.value < 0)
            if model is not None:
                case = self.case(model)
                value = self._value(case, name)
                confirmed = isinstance(value, Exact) and value < 0
                place = self._output_place(name)
                self.report("amount-negative", place, name, self._texts("value", name, value), [case], confirmed)

    def caps(self) -> None:
        """Results above what the provision declares, or above its own cap."""
        outputs = self.encoded.outputs
        for name, (bound, at) in self.at_most.items():
            known, top, bottom = self.encoded.number(f"cap {name}")
            shown = outputs[name]
            case = self._above(name, both(shown.present, known, shown.value * bottom > top * shown.denominator))
            if case is not None:
                self._report_cap(name, at, case, self._known(bound, case))
        rate = outputs.get("rate")
        if rate is not None and self.provision.kind is ProvisionKind.SANCTION:
            case = self._above("rate", both(rate.present, rate.value > rate.denominator))
            if case is not None:
                self._report_cap("rate", self._output_place("rate"), case, 1)
        for cap in ("amount_max", "cap"):
            amount, most = outputs.get("amount"), outputs.get(cap)
            if amount is None or most is None or amount.kind is not most.kind:
                continue
            over = amount.value * most.denominator > most.value * amount.denominator
            case = self._above("amount", both(amount.present, most.present, over))
            if case is not None:
                self._report_cap("amount", self._output_place("amount"), case, self._value(case, cap))

    def _above(self, name: str, above: Formula) -> Witness | None:
        model = self.ask(f"{name} above its cap", above)
        return None if model is None else self.case(model)

    def _report_cap(self, name: str, at: Location, case: Witness, cap: Value | None) -> None:
        value = self._value(case, name)
        confirmed = isinstance(value, Exact) and isinstance(cap, Exact) and value > cap
        fields = self._texts("value", name, value) | self._texts("cap", name, cap)
        self.report("above-cap", at, name, fields, [case], confirmed)

    def _known(self, expr: Expr, case: Witness) -> Value | None:
        found = evaluate(expr, names_of(self.provision, case.values, self.day))
        return None if isinstance(found, Unknown) else found

    @staticmethod
    def _value(case: Witness, name: str) -> Value | None:
        return None if case.outcome is None else case.outcome.values.get(name)

    def _texts(self, key: str, name: str, value: Value | None) -> dict[str, str]:
        """A value of an output in both languages, as fields of a message."""
        of = next(output.expr.type for output in self.provision.outputs if output.name == name)
        return {key: value_text(value, of), f"{key}_en": value_text(value, of, "en")}

    def _output_place(self, name: str) -> Location:
        places = [output.expr.at for output in self.provision.outputs if output.name == name and output.expr.at.file]
        return places[0] if places else self.provision.at

    # Declared monotonicity

    def monotone(self) -> None:
        for fact, (rising, at) in self.owner.claims.monotone.items():
            field = self.provision.facts[fact]
            other = f"{fact}'"
            space = Space(open_facts(self.provision), self.day)
            low = Encoded(space, self.provision, self.day)
            high = Encoded(space, self.provision, self.day, renamed={fact: other})
            a, b = space.variables[fact], space.variables[other]
            ordered = both(negation(a.value), b.value) if field.type.kind is Kind.BOOLEAN else a.value < b.value
            falls = self._falls(low, high) if rising else self._falls(high, low)
            model = self.owner.ask(
                Questions(space), f"monotone {fact}", both(a.known, b.known), ordered, low.settled, high.settled, falls
            )
            if model is None:
                continue
            values = space.values(model)
            shown = self.day if self.day != self.owner.pack.reference_date else None
            cases = [witness(self.provision, {**values, fact: values[name]}, self.day, shown) for name in (fact, other)]
            results = [_result(case) for case in cases]
            confirmed = results[0] > results[1] if rising else results[0] < results[1]
            fields = {
                "direction_zh": "递增" if rising else "递减",
                "direction_en": "rising" if rising else "falling",
            }
            for key, name, case in (("low", fact, cases[0]), ("high", other, cases[1])):
                fields |= {
                    key: value_text(values[name], field.type),
                    f"{key}_en": value_text(values[name], field.type, "en"),
                    f"{key}_result": outcome_text(case.outcome),
                    f"{key}_result_en": outcome_text(case.outcome, "en"),
                }
            self.report("not-monotone", at, fact, fields, cases, confirmed)

    def _falls(self, first: Encoded, second: Encoded) -> Formula:
        """Whether the result of the second is less than that of the first."""
        for name in ("amount", "rate", "amount_max"):
            if name in first.outputs:
                a, b = first.outputs[name], second.outputs[name]
                left = pick(a.present, a.value * b.denominator, 0 * a.denominator)
                right = pick(b.present, b.value * a.denominator, 0 * b.denominator)
                return left > right
        effects = EFFECTS[self.provision.kind]
        return both(first.has_status(effects), negation(second.has_status(effects)))


def _result(case: Witness) -> Any:
    """What `monotone` compares: the amount, else the rate, else whether the provision takes effect."""
    outcome = case.outcome
    if outcome is None:
        return 0
    for name in ("amount", "rate", "amount_max"):
        if any(output.name == name for output in case.provision.outputs):
            return outcome.values.get(name, 0)
    return int(outcome.status in EFFECTS[case.provision.kind])


def _is_open(case: Witness) -> bool:
    return case.outcome is not None and case.outcome.status == UNDETERMINED and not case.outcome.missing


def _is_key(test: Expr | None) -> bool:
    return isinstance(test, Compare) and test.op == "==" and isinstance(test.right, Literal)
