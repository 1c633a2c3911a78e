"""Two packs compared by meaning: which provisions come to another outcome in some case, and in which.

Both versions of a provision are put to the solver as formulas over the same facts, known or unknown.
Either it names a case whose outcome differs (made small, and confirmed by the reference evaluator), or it
proves that there is none within the bounds that both versions declare. With submitted facts the effect
on money is worked out by the reference evaluator, subject by subject.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from engine.calendar import day_number
from engine.checking import SubmissionLike, check_submission
from engine.dataclass import dataclass
from engine.encoding import Encoded, outcomes_differ
from engine.errors import EvaluationError, PackError, Problem
from engine.load import Pack
from engine.model import Field, Provision
from engine.outcome import Outcome, assess
from engine.parts import parameters_of, period_of
from engine.solver import Questions, Space, Undecided, both, require_solver
from engine.source import NOWHERE
from engine.types import Kind
from engine.values import Value
from engine.witness import Witness, witness

SAME, CHANGED, REWORDED, FACTS, ADDED, REMOVED, OPEN = (
    "same",
    "changed",
    "reworded",
    "facts",
    "added",
    "removed",
    "open",
)


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one provision from the old pack to the new.

    `kind`: `same` (nothing differs), `reworded` (proved to mean the same; `words` names the parts that
    differ), `changed` (`case` is a smallest one, with both outcomes), `facts` (other facts are asked for or
    accepted; proved the same wherever both accept the case), `added`, `removed`, `open` (neither a case nor
    a proof, `reason` says why). `facts` says how the facts differ.
    """

    provision: str
    kind: str
    case: tuple[Witness, Witness] | None = None
    facts: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    reason: str = ""


def same_outcome(old: Outcome | None, new: Outcome | None) -> bool:
    """Whether two outcomes say the same; an evaluation that stops equals another that stops."""
    if old is None or new is None:
        return old is new
    return old.same_as(new)


def compare_packs(
    old: Pack, new: Pack, only: Sequence[str] = (), progress: Callable[[str], None] | None = None
) -> list[Change]:
    """Every provision of either pack, in the order of the new one. Errors (`PackError`): `solver-absent`."""
    require_solver()
    found: list[Change] = []
    before, after = old.provisions, new.provisions
    for identity in [*after, *(identity for identity in before if identity not in after)]:
        if only and not identity.startswith(tuple(only)):
            continue
        if progress is not None:
            progress(identity)
        if identity not in before:
            found.append(Change(identity, ADDED))
        elif identity not in after:
            found.append(Change(identity, REMOVED))
        else:
            found.append(compare(before[identity], after[identity], common_days(old, new, identity)))
    return found


def common_days(old: Pack, new: Pack, identity: str) -> list[tuple[date | None, date | None]]:
    """Days on which the two versions are compared, one for each set of parameters: old's and new's day.

    Each version is read on the days of its own period; where they share days, on the same day.
    """
    first, second = old.provision(identity), new.provision(identity)
    spans = period_of(old, first), period_of(new, second)
    if spans[0] is None or spans[1] is None:
        return [(old.reference_date, new.reference_date)]
    start, end = max(spans[0][0], spans[1][0]), min(spans[0][1], spans[1][1])
    if start > end:  # next year's policy: each as it stands at the end of its own period
        return [(spans[0][1], spans[1][1])]
    changes = {
        day
        for provision in (first, second)
        for parameter in provision.parameters.values()
        for day, _ in parameter.values
        if start < day <= end
    }
    return [(day, day) for day in sorted({start, *changes})]


def compare(old: Provision, new: Provision, days: Sequence[tuple[date | None, date | None]]) -> Change:
    """How one provision changed; on which days its parameters are read is given."""
    facts = tuple(_fact_changes(old.facts, new.facts))
    words = tuple(name for name in WORDS if _words_of(old, name) != _words_of(new, name))
    if not facts and _meaning(old) == _meaning(new) and _values(old, days, 0) == _values(new, days, 1):
        return Change(new.id, REWORDED if words else SAME, words=words)
    for day, other_day in days:
        try:
            case = difference(old, new, day, other_day)
        except Undecided:
            return Change(new.id, OPEN, None, facts, words, "求解器未能得出结论 / the solver gave up")
        except PackError as error:
            problem = error.problems[0]
            return Change(new.id, OPEN, None, facts, words, f"{problem.message('zh')} / {problem.message('en')}")
        if case is not None:
            return Change(new.id, CHANGED, case, facts, words)
    return Change(new.id, FACTS if facts else REWORDED, None, facts, words or ("form",))


WORDS = (
    "label",
    "summary",
    "citation",
    "notes",
    "readings",
    "in_force",
    "applies_to",
    "decided_by",
    "paid_by",
    "stacking",
    "figures",
)
"""The parts of a provision that no outcome of the chosen reading depends on."""


def _meaning(provision: Provision) -> Any:
    """Everything an outcome depends on, apart from parameters' values."""
    return (
        provision.kind,
        provision.status,
        provision.outputs,
        tuple((let.name, let.expr) for let in provision.lets),
        provision.measures,
    )


def _words_of(provision: Provision, name: str) -> Any:
    """A part of a provision for comparison; of its readings the words and what the other ones mean."""
    if name != "readings":
        return getattr(provision, name)
    return [
        (
            reading.id,
            reading.point,
            reading.chosen,
            reading.why,
            [
                (other.text, None if other.variant is None else (_meaning(other.variant), other.variant.facts))
                for other in reading.alternatives
            ],
        )
        for reading in provision.readings
    ]


def _values(provision: Provision, days: Sequence[tuple[date | None, date | None]], side: int) -> Any:
    used = parameters_of(provision)
    return [
        {name: provision.parameters[name].on(day) if (day := pair[side]) else None for name in used} for pair in days
    ]


def _fact_changes(old: Mapping[str, Field], new: Mapping[str, Field]) -> list[str]:
    """How the facts asked for differ, in short English phrases with the names the pack uses."""
    found = [f"+ {name}" for name in new if name not in old] + [f"- {name}" for name in old if name not in new]
    for name in old.keys() & new.keys():
        a, b = old[name], new[name]
        if a.type != b.type:
            gone = set(a.type.values or ()) - set(b.type.values or ())
            come = set(b.type.values or ()) - set(a.type.values or ())
            values = [*(f"+{value}" for value in sorted(come)), *(f"-{value}" for value in sorted(gone))]
            found.append(f"~ {name}: {', '.join(values) or f'{a.type} → {b.type}'}")
        elif (a.minimum, a.maximum) != (b.minimum, b.maximum):
            found.append(f"~ {name}: min/max")
        elif a.default != b.default:
            found.append(f"~ {name}: default")
    return found


def difference(
    old: Provision, new: Provision, day: date | None, other_day: date | None
) -> tuple[Witness, Witness] | None:
    """A smallest case in which two versions come to different outcomes, with both; None: proved that there is none.

    A case with every fact known is looked for first, then with outcomes both decided, then any; its numbers
    are as small, its dates as soon after the beginning of the period as can be. Errors:
    `Undecided`, `PackError` as `normal_form`.
    """
    space = Space(None)
    _same_kinds(old, new)
    first, second = Encoded(space, old, day), Encoded(space, new, other_day)
    start = new.in_force[0] or other_day or date.min
    unlike = outcomes_differ(first, second)
    complete = [variable.known for variable in space.variables.values()]
    decided = both(first.settled, second.settled)
    questions = Questions(space)
    undecided = False
    for context in ([*complete, decided], complete, [decided], []):
        try:
            model = questions.case(unlike, *context)
        except Undecided:
            undecided = True
            continue
        if model is not None:
            model = _smallest(questions, start, unlike, *context) or model
            values = smallest_values(old, new, space.values(model), day, other_day)
            pair = witness(old, values, day, day), witness(new, values, other_day, other_day)
            if same_outcome(pair[0].outcome, pair[1].outcome):
                raise EvaluationError(
                    Problem(
                        "solver-disagrees",
                        NOWHERE,
                        {"where": new.id, "about": ", ".join(f"{name}={value}" for name, value in values.items())},
                    )
                )
            return pair
    if undecided:
        raise Undecided
    return None


def _same_kinds(old: Provision, new: Provision) -> None:
    """Errors (`PackError`): `type-mismatch` where a fact has become another kind of value."""
    clash = {
        name
        for name in old.facts.keys() & new.facts.keys()
        if old.facts[name].type.kind is not new.facts[name].type.kind
    }
    if not clash:
        return
    raise PackError(
        Problem(
            "type-mismatch",
            new.at,
            {
                "operation": ", ".join(sorted(clash)),
                "left": str(old.facts[min(clash)].type),
                "right": str(new.facts[min(clash)].type),
                "hint": "",
            },
        )
    )


def _smallest(questions: Questions, start: date, *formulas: Any) -> Any | None:
    """A model with each number as small as it can be, one fact after the other."""
    kept = list(formulas)
    model = None
    for name, variable in questions.space.variables.items():
        field = questions.space.fields[name]
        if field.type.kind in (Kind.BOOLEAN, Kind.ENUM, Kind.TEXT):
            continue
        number = variable.value - day_number(start) if field.type.kind is Kind.DATE else variable.value
        try:
            found = questions.smallest(number, *kept, number >= 0)
        except Undecided:
            return model
        if found is None:
            continue
        model = found
        kept.append(variable.value == found.eval(variable.value, model_completion=True))
    return model


def smallest_values(
    old: Provision, new: Provision, values: Mapping[str, Value | None], day: date | None, other_day: date | None
) -> dict[str, Value | None]:
    """The case with every fact left out that it does not need: the outcomes still differ, decided if they were."""

    def outcomes(given: Mapping[str, Value | None]) -> tuple[Outcome | None, Outcome | None]:
        found: list[Outcome | None] = []
        for provision, on in ((old, day), (new, other_day)):
            try:
                found.append(assess(provision, {name: given.get(name) for name in provision.facts}, on))
            except (EvaluationError, ValueError, OverflowError):
                found.append(None)
        return found[0], found[1]

    first, second = outcomes(values)
    wanted = _decided(first), _decided(second)
    kept = dict(values)
    for name in list(kept):
        if kept[name] is None:
            continue
        trial = {**kept, name: None}
        a, b = outcomes(trial)
        if not same_outcome(a, b) and (_decided(a), _decided(b)) == wanted:
            kept = trial
    return kept


def _decided(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.status != "undetermined"


# The effect on money


@dataclass(frozen=True, slots=True)
class Effect:
    """What a subject is paid or loses under each pack, in fen; None where it is not determined."""

    subject: str
    old: int | None
    new: int | None

    @property
    def change(self) -> int | None:
        return None if self.old is None or self.new is None else self.new - self.old


@dataclass(frozen=True, slots=True)
class MoneyEffect:
    """The effect of a new pack on submitted facts: per subject, and in total where both sides are determined.

    `left_out` counts subjects whose amount one of the packs leaves open.
    """

    effects: tuple[Effect, ...]
    total_old: int
    total_new: int
    left_out: int

    @property
    def change(self) -> int:
        return self.total_new - self.total_old


def money_effect(
    old: Pack,
    new: Pack,
    submissions: tuple[SubmissionLike, SubmissionLike],
    as_of: tuple[date | None, date | None] = (None, None),
) -> MoneyEffect:
    """The same files, read for each pack, assessed by the reference evaluator under both.

    Amounts: for dossiers the total that counts (exclusivity applied), for single cases the outcome's
    amount. Errors: those of `check_submission`.
    """
    amounts = [
        _amounts(pack, submission, day) for pack, submission, day in zip((old, new), submissions, as_of, strict=True)
    ]
    subjects = list(dict.fromkeys([*amounts[0], *amounts[1]]))
    effects = tuple(Effect(subject, amounts[0].get(subject), amounts[1].get(subject)) for subject in subjects)
    whole = [effect for effect in effects if effect.change is not None]
    return MoneyEffect(
        effects,
        sum(effect.old or 0 for effect in whole),
        sum(effect.new or 0 for effect in whole),
        len(effects) - len(whole),
    )


def _amounts(pack: Pack, submission: SubmissionLike, as_of: date | None) -> dict[str, int | None]:
    checked = check_submission(pack, submission, as_of, engine="reference")
    found: dict[str, int | None] = {}

    def add(subject: str, amount: int | None) -> None:
        before = found.get(subject, 0)
        found[subject] = None if amount is None or before is None else before + amount

    for outcomes in checked.dossiers.values():
        for outcome in outcomes:
            add(outcome.subject, outcome.total)
    for given, single in checked.flat:
        amount = single.values.get("amount", 0)
        add(given.label, None if single.status == "undetermined" else int(Fraction(amount)))  # type: ignore[arg-type]
    return found
