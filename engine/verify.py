"""Holes in a pack, proved or shown: for every provision, over the declared bounds of its facts.

Asked of the solver (see `proving`): tables without a matching row or with two, rows and conditions that
can never hold, results that are negative or above their cap, results that move against what is declared
(`monotone`), two provisions of one exclusive group that both take effect. Looked up here: parameters
without a value in the policy's period, deadlines beyond the holiday calendar, what nothing reads. Every
case is put to the reference evaluator before it is reported. Nothing is repaired.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

from engine.calendar import published_years
from engine.dataclass import dataclass
from engine.declared import CLAIM_KEYS, Claims, read_claims, read_explanations
from engine.encoding import Encoded
from engine.errors import EvaluationError, PackError, Problem
from engine.expr import Call, Compare, Expr, IfElse, Literal, Name, Not, children, conjunction, walk
from engine.findings import Finding, explain_findings
from engine.kinds import UNDETERMINED
from engine.load import Pack, load_pack
from engine.model import Field, Provision
from engine.outcome import assess
from engine.parts import EFFECTS, branches, expressions, parameters_of, period_of, tables_of
from engine.proving import DayCheck, Reporter
from engine.solver import Formula, Questions, Space, Undecided, implies, negation, require_solver
from engine.types import Kind
from engine.values import Value
from engine.witness import Witness, witness

TABLE_CODES = frozenset(("table-gap", "table-overlap", "table-row-unreachable"))


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, and how many questions were put."""

    findings: tuple[Finding, ...]
    provisions: int
    questions: int

    @property
    def open(self) -> tuple[Finding, ...]:
        """Findings the pack does not explain."""
        return tuple(finding for finding in self.findings if finding.explained is None)


def load_for_verification(name: str) -> Pack:
    """The pack with everything read, though its tables have gaps or overlaps: `verify` shows those with a case.

    Errors (`PackError`): whatever else is wrong with it.
    """
    pack = load_pack(name)

    def is_ours(problem: Problem) -> bool:
        return problem.code in TABLE_CODES or (problem.code == "unknown-key" and problem.fields["key"] in CLAIM_KEYS)

    try:
        pack.load_all()
    except PackError as error:
        others = [problem for problem in error.problems if not is_ours(problem)]
        if others:
            raise PackError(others) from None
        pack.problems.clear()
        pack.load_all()
    return pack


def verify(pack: Pack, only: Sequence[str] = (), progress: Callable[[str], None] | None = None) -> Report:
    """Every finding about a pack, explained ones included.

    `only`: prefixes of the ids to look at. Errors (`PackError`): `solver-absent`, faulty claims.
    """
    require_solver()
    claims = read_claims(pack)
    findings: list[Finding] = []
    questions = 0
    chosen = [item for identity, item in pack.provisions.items() if not only or identity.startswith(tuple(only))]
    for provision in chosen:
        if progress is not None:
            progress(provision.id)
        checker = _Checker(pack, provision, claims.get(provision.id, Claims()))
        findings += checker.check()
        questions += checker.questions
    findings += _exclusive(pack, {item.id: claims[item.id] for item in chosen if item.id in claims})
    if not only:
        findings += _unused_in_pack(pack)
    unique = list({finding.key: finding for finding in findings}.values())
    return Report(tuple(explain_findings(unique, read_explanations(pack), whole=not only)), len(chosen), questions)


# One provision


class _Checker(Reporter):
    """All questions about one provision."""

    def __init__(self, pack: Pack, provision: Provision, claims: Claims) -> None:
        super().__init__(pack, provision, claims)
        self.exprs = expressions(provision)
        self.parameters = parameters_of(provision)
        self.tables = tables_of(provision)

    def check(self) -> list[Finding]:
        self.unused()
        for day in self.days():
            try:
                DayCheck(self, self.provision, day).check()
                for reading, variant in self.variants():
                    DayCheck(self, variant, day, reading).check()
            except PackError as error:
                problem = error.problems[0]
                self.not_proved("normal form", problem.message("zh"), problem.message("en"), problem.location)
        self.calendar()
        self.evaluates()
        return self.findings

    def variants(self) -> Iterator[tuple[tuple[str, int], Provision]]:
        """The provision under each other reading that is computed."""
        for reading in self.provision.readings:
            for number, other in enumerate(reading.alternatives, 2):
                if other.variant is not None:
                    yield (reading.id, number), other.variant

    def days(self) -> list[date | None]:
        """Days that stand for the whole period, one for each set of parameter values; a day without is a finding."""
        period = period_of(self.pack, self.provision)
        if period is None:
            return [self.pack.reference_date]
        start, end = period
        used = [self.provision.parameters[name] for name in sorted(self.parameters)]
        days = sorted({start, *(day for parameter in used for day, _ in parameter.values if start < day <= end)})
        whole: list[date | None] = []
        for day in days:
            missing = [parameter for parameter in used if parameter.on(day) is None]
            for parameter in missing:
                self.out_of_force(parameter.name, day)
            if not missing:
                whole.append(day)
        if self.pack.reference_date is not None and not used:
            return [self.pack.reference_date]
        return whole

    def out_of_force(self, parameter: str, day: date) -> None:
        space = Space(near=day)
        encoded = Encoded(space, self.provision, day)
        model = self.ask(Questions(space), f"parameter {parameter}", negation(encoded.settled))
        if model is None:
            return
        case = witness(self.provision, space.values(model), day, day)
        at = self.provision.parameters[parameter].at
        self.report(
            "parameter-out-of-force",
            at,
            parameter,
            {"day": day},
            [case],
            case.outcome is not None and case.outcome.status == UNDETERMINED,
        )

    # Looked up

    def unused(self) -> None:
        provision = self.provision
        versions = [provision, *(variant for _, variant in self.variants())]
        read = {
            node.name
            for version in versions
            for expr in expressions(version)
            for node in walk(expr)
            if isinstance(node, Name)
        }
        read |= {
            node.name
            for field in provision.facts.values()
            if field.asked_when is not None
            for node in walk(field.asked_when)
            if isinstance(node, Name)
        }
        for name, field in provision.facts.items():
            if name not in read:
                at = field.at if field.at.file and name not in self.pack.fields else provision.at
                self.report("fact-unused", at, name, {}, self._samples(name, self._options(field)[:2]))
        for let in provision.lets:
            if let.name not in read:
                self.report("let-unused", let.at, let.name, {}, self._samples())
        self._enumerations(provision)

    def _enumerations(self, provision: Provision) -> None:
        mentioned: dict[str, set[str]] = {}
        whole: set[str] = set()

        def look(expr: Expr, negated: bool) -> None:
            """Values compared with; what is said of all but some (`!= other`) is said of every value."""
            if isinstance(expr, Not):
                look(expr.operand, not negated)
                return
            if isinstance(expr, Compare):
                for side, other in ((expr.left, expr.right), (expr.right, expr.left)):
                    if isinstance(side, Name) and side.type.kind is Kind.ENUM:
                        if isinstance(other, Literal) and negated is (expr.op == "!="):
                            mentioned.setdefault(side.name, set()).add(str(other.value))
                        else:
                            whole.add(side.name)
            elif isinstance(expr, (IfElse, Call)):
                whole.update(
                    part.name for part in children(expr) if isinstance(part, Name) and part.type.kind is Kind.ENUM
                )
            for part in children(expr):
                look(part, negated)

        requirements = [requirement.condition for requirement in provision.requirements]
        applies = [provision.applies] if provision.applies is not None else []
        asked = [field.asked_when for field in provision.facts.values() if field.asked_when is not None]
        lets = [let.expr for let in provision.lets]
        outputs = [output.expr for output in provision.outputs]
        written = [
            condition
            for _, condition in branches(provision.status)
            if not any(condition in (part, Not(part)) for part in (*applies, conjunction(requirements)))
        ]
        for expr in (*requirements, *applies, *asked, *lets, *outputs, *written):
            look(expr, False)
        for name, field in provision.facts.items():
            if field.type.kind is not Kind.ENUM or name in whole or name not in mentioned:
                continue
            silent = [value for value in field.type.values or () if value not in mentioned[name]]
            if len(silent) > 1:
                at = field.at if field.at.file else provision.at
                self.report(
                    "enum-value-unmentioned", at, ", ".join(silent), {"fact": name}, self._samples(name, silent[:2])
                )

    def calendar(self) -> None:
        """Deadlines whose dates, within the period, need a calendar that is not published."""
        calls = [
            node
            for expr in self.exprs
            for node in walk(expr)
            if isinstance(node, Call) and node.function in ("workdays_after", "workdays_between", "next_workday")
        ]
        period = period_of(self.pack, self.provision)
        if not calls or period is None:
            return
        dates = [name for name, field in self.provision.facts.items() if field.type.kind is Kind.DATE]
        for day in dict.fromkeys((period[1], period[0])):
            for values in self._typical():
                given = {**values, **dict.fromkeys(dates, day)}
                try:
                    assess(self.provision, given, day)
                except (ValueError, OverflowError):
                    continue
                except EvaluationError as error:
                    if error.problems[0].code != "calendar-gap":
                        continue  # an impossible date, which `evaluates` reports
                    at = next((call.at for call in calls if call.at.file), self.provision.at)
                    self.report(
                        "deadline-beyond-calendar",
                        at,
                        str(day),
                        {"day": day, "last": published_years()[1]},
                        [witness(self.provision, given, day, day)],
                    )
                    return

    def evaluates(self) -> None:
        """Cases within the declared bounds that stop the evaluation: a thirteenth month, a day past the last year."""
        for values in self._typical():
            try:
                assess(self.provision, values, self.pack.reference_date)
            except EvaluationError as error:
                if error.problems[0].code == "calendar-gap":
                    continue  # `deadlines` looks after the calendar's end
                found = witness(self.provision, values, self.pack.reference_date)
                self.report("cannot-evaluate", self.provision.at, error.problems[0].message("en"), {}, [found])
                return

    def _typical(self) -> Iterator[dict[str, Value | None]]:
        """Cases that differ in their yes/no facts and choices, numbers at their least and greatest (at most 64)."""
        options = [self._options(field) for field in self.provision.facts.values()]
        for values in itertools.islice(itertools.product(*options), 64):
            yield dict(zip(self.provision.facts, values, strict=True))

    def _options(self, field: Field) -> list[Value | None]:
        match field.type.kind:
            case Kind.BOOLEAN:
                return [True, False]
            case Kind.ENUM:
                return list(field.type.values or (None,))
            case Kind.DATE:
                return [self.pack.reference_date]
            case Kind.TEXT:
                return ["甲", "乙"]
        return [value for value in (field.maximum, field.minimum) if value is not None] or [0]

    def _samples(self, fact: str = "", values: Sequence[Value | None] = ()) -> list[Witness]:
        """A decided case, and the same with other values of one fact: they come to the same."""
        for case in self._typical():
            found = (
                [witness(self.provision, {**case, fact: value}, self.pack.reference_date) for value in values]
                if values
                else [witness(self.provision, case, self.pack.reference_date)]
            )
            if all(item.outcome is not None and item.outcome.status != UNDETERMINED for item in found):
                return found
        return []


# Several provisions


def _exclusive(pack: Pack, claims: Mapping[str, Claims]) -> list[Finding]:
    """Pairs of one exclusive group that both take effect in some case; facts of one name are one fact."""
    groups: dict[str, list[str]] = {}
    for identity, claim in claims.items():
        if claim.group:
            groups.setdefault(claim.group, []).append(identity)
    found: list[Finding] = []
    for group, identities in groups.items():
        for first, second in itertools.combinations(identities, 2):
            one, other = pack.provision(first), pack.provision(second)
            clash = {
                name for name in one.facts.keys() & other.facts.keys() if one.facts[name].type != other.facts[name].type
            }
            space = Space()
            a = Encoded(space, one, pack.reference_date)
            b = Encoded(space, other, pack.reference_date, renamed={name: f"{name} of {second}" for name in clash})
            place = claims[second].at
            try:
                model = Questions(space).simple_case(*_takes_effect(a), *_takes_effect(b))
            except Undecided:
                found.append(
                    Finding(
                        "not-proved",
                        place,
                        first,
                        f"exclusive {group}",
                        {"reason_zh": "求解器未能得出结论", "reason_en": "the solver gave up"},
                        severity="warning",
                    )
                )
                continue
            if model is None:
                continue
            values = space.values(model)
            cases = (
                witness(one, values, pack.reference_date),
                witness(
                    other, {**values, **{name: values[f"{name} of {second}"] for name in clash}}, pack.reference_date
                ),
            )
            confirmed = all(
                case.outcome is not None and case.outcome.status in EFFECTS[case.provision.kind] for case in cases
            )
            found.append(
                Finding("both-pay" if confirmed else "solver-disagrees", place, first, group, {"other": second}, cases)
            )
    return found


def _takes_effect(encoded: Encoded) -> list[Formula]:
    effect = [encoded.settled, encoded.has_status(EFFECTS[encoded.provision.kind])]
    if "amount" in encoded.outputs:
        shown = encoded.outputs["amount"]
        effect.append(implies(shown.present, shown.value > 0))
    return effect


def _unused_in_pack(pack: Pack) -> list[Finding]:
    """Parameters and shared facts that nothing in the pack reads."""
    read: set[str] = set()
    listed: set[str] = set()
    for provision in pack.provisions.values():
        variants = [other.variant for reading in provision.readings for other in reading.alternatives if other.variant]
        for version in (provision, *variants):
            listed |= set(version.facts)
            read |= {
                node.name
                for expr in (*expressions(version), *(let.expr for let in version.lets))
                for node in walk(expr)
                if isinstance(node, Name) and node.role == "parameter"
            }
    for dossier in pack.dossiers.values():
        for record in dossier.records.values():
            listed |= set(record.fields)
    found = [
        Finding("parameter-unused", parameter.at, name)
        for name, parameter in pack.parameters.items()
        if name not in read
    ]
    return found + [
        Finding("fact-unlisted", field.at, name) for name, field in pack.fields.items() if name not in listed
    ]
