"""Verification: every seeded fault is found with a case, and the shipped pack is clean or explained."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("z3")

from engine.cases import load_cases, run_cases
from engine.encoding import Encoded
from engine.errors import PackError
from engine.findings import Finding
from engine.load import Pack
from engine.model import Field, Provision
from engine.outcome import Outcome, assess
from engine.solver import Questions, Space, holds, integer_of, negation
from engine.stored import encode, stored_scale
from engine.types import Kind
from engine.values import Value, shrink
from engine.verify import load_for_verification, verify
from engine.witness import case_text


@cache
def shipped() -> Pack:
    """The pack that comes with Hegui, read once."""
    return load_for_verification("chuxiong_2019")


FAULTY = Path(__file__).parent / "data" / "faulty_packs"
WITHOUT_CASE = {"parameter-unused", "fact-unlisted", "explanation-stale"}
"""Findings about what no rule reads: there is nothing to evaluate."""


def expected(folder: Path) -> set[tuple[str, str, int]]:
    """The findings that the comments of a faulty pack announce, by code, file and line."""
    return {
        (match[1], path.name, number)
        for path in folder.rglob("*.yaml")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := re.search(r"# finding: (\S+)", line))
    }


@pytest.mark.parametrize("folder", sorted(FAULTY.iterdir()), ids=lambda folder: folder.name)
def test_a_seeded_fault_is_found_at_its_line_and_nothing_else(folder: Path) -> None:
    report = verify(load_for_verification(str(folder)))
    found = {(finding.code, Path(finding.at.file).name, finding.at.line) for finding in report.findings}
    assert found == expected(folder)


@pytest.mark.parametrize("folder", sorted(FAULTY.iterdir()), ids=lambda folder: folder.name)
def test_each_finding_brings_a_case_that_can_be_kept(folder: Path, tmp_path: Path) -> None:
    pack = load_for_verification(str(folder))
    for finding in verify(pack).findings:
        assert bool(finding.cases) == (finding.code not in WITHOUT_CASE), finding.code
        for lang in ("zh", "en"):
            assert finding.problem.render(lang)  # type: ignore[arg-type]
        for case in finding.cases:
            read = _read_back(case_text(case, "kept"), tmp_path)
            if case.outcome is not None:
                again = pack.evaluate(case.provision.id, read["inputs"], read.get("as_of"), read.get("reading"))
                assert again.status == case.outcome.status


def _read_back(text: str, folder: Path) -> dict[str, object]:
    from engine.cases import plain
    from engine.yamltree import read_yaml

    path = folder / "case.yaml"
    path.write_text(text, encoding="utf-8")
    entries = plain(read_yaml(path))
    assert len(entries) == 1
    entry = entries[0]
    if entry.get("reading"):
        entry["reading"] = {key: int(value) for key, value in entry["reading"].items()}
    return entry  # type: ignore[no-any-return]


def test_enough_kinds_of_fault_are_seeded() -> None:
    kinds = {code for folder in FAULTY.iterdir() for code, _, _ in expected(folder)}
    assert len(list(FAULTY.iterdir())) >= 25
    assert len(kinds) >= 17


def test_the_gap_at_90_percent_is_shown_by_a_case_of_exactly_90_percent() -> None:
    finding = _only("gap_at_90")
    values = finding.cases[0].values
    assert Fraction(values["raised"], values["task"]) == Fraction(9, 10)  # type: ignore[arg-type]
    assert finding.cases[0].outcome is not None
    assert finding.cases[0].outcome.status == "undetermined"


def test_the_overlap_is_shown_by_a_case_in_both_rows() -> None:
    finding = _only("overlap_at_90")
    values = finding.cases[0].values
    assert Fraction(values["raised"], values["task"]) == Fraction(9, 10)  # type: ignore[arg-type]


def test_a_case_above_the_cap_really_is() -> None:
    outcome = _outcome(_only("cap_exceeded"))
    assert Fraction(str(outcome.amount)) > 1_000_000


def test_both_cases_of_an_exclusive_pair_pay() -> None:
    finding = _only("two_payments_in_group")
    assert [case.outcome.status for case in finding.cases if case.outcome] == ["eligible", "eligible"]
    assert {case.provision.id for case in finding.cases} == {"award.national", "award.provincial"}


def test_the_two_cases_of_a_fall_differ_in_the_declared_fact_only() -> None:
    low, high = _only("not_monotone").cases
    changed = {name for name in low.values if low.values[name] != high.values[name]}
    assert changed == {"completion"}
    assert low.values["completion"] < high.values["completion"]  # type: ignore[operator]
    assert Fraction(str(_amount(low.outcome))) < Fraction(str(_amount(high.outcome)))


def _only(name: str) -> Finding:
    (finding,) = verify(load_for_verification(str(FAULTY / name))).findings
    return finding


def _outcome(finding: Finding) -> Outcome:
    outcome = finding.cases[0].outcome
    assert outcome is not None
    return outcome


def _amount(outcome: Outcome | None) -> str | None:
    return None if outcome is None else outcome.amount


def test_an_explained_finding_is_not_open(tmp_path: Path) -> None:
    folder = tmp_path / "amount_negative"
    _copy(FAULTY / "amount_negative", folder)
    (folder / "explained.yaml").write_text(
        "- {finding: amount-negative, where: award.*, about: amount, why: {zh: 条文如此, en: so the text}}\n",
        encoding="utf-8",
    )
    report = verify(load_for_verification(str(folder)))
    assert [finding.code for finding in report.findings] == ["amount-negative"]
    assert report.open == ()
    assert report.findings[0].explained is not None


def test_a_faulty_claim_is_a_problem_with_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "not_monotone"
    _copy(FAULTY / "not_monotone", folder)
    path = folder / "provisions" / "rules.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("completion: falling", "completions: falling"), encoding="utf-8"
    )
    with pytest.raises(PackError) as caught:
        verify(load_for_verification(str(folder)))
    assert caught.value.problems[0].code == "unknown-name"


def _copy(source: Path, target: Path) -> None:
    for path in source.rglob("*.yaml"):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")


def test_other_faults_of_a_pack_still_stop_it(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    _copy(FAULTY / "fact_unused", folder)
    path = folder / "provisions" / "rules.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("duty: [published]", "duty: [publishd]"), encoding="utf-8")
    with pytest.raises(PackError) as caught:
        load_for_verification(str(folder))
    assert {problem.code for problem in caught.value.problems} == {"unknown-name"}


def test_the_budget_cuts_of_the_shipped_pack_are_clean() -> None:
    report = verify(shipped(), ("fiscal.budget_cut.",))
    assert report.findings == ()
    assert report.provisions == 4


@pytest.mark.long
def test_the_shipped_pack_is_clean_or_explained() -> None:
    report = verify(shipped())
    assert [(finding.code, finding.where, finding.about) for finding in report.open] == []


# The solver against the reference evaluator


def _value(field: Field, dice: random.Random) -> Value | None:
    if dice.random() < 0.2:
        return None
    match field.type.kind:
        case Kind.BOOLEAN:
            return dice.random() < 0.5
        case Kind.ENUM:
            return dice.choice(field.type.values or ("",))
        case Kind.DATE:
            return date(2019, 1, 1) + timedelta(days=dice.randrange(700))
        case Kind.TEXT:
            return dice.choice(("甲", "乙"))
    scale = stored_scale(field.type)
    low = int(Fraction(field.minimum or 0) * scale)  # type: ignore[arg-type]
    high = int(Fraction(field.maximum if field.maximum is not None else 10**6) * scale)  # type: ignore[arg-type]
    return shrink(Fraction(dice.randint(low, min(high, low + dice.choice((10, 10**4, 10**8, 10**12)))), scale))


def solver_outcome(
    provision: Provision, values: dict[str, Value | None], on: date | None
) -> tuple[str, dict[str, object]] | None:
    """What the solver makes of one case; None where it lies outside the calendar."""
    space = Space(None)
    encoded = Encoded(space, provision, on)
    fixed = []
    for name, value in values.items():
        variable = space.variables[name]
        stored = encode(value, provision.facts[name].type)
        if stored is None:
            fixed.append(negation(variable.known))
        else:
            fixed += [variable.known, variable.value == (space.word(stored) if isinstance(stored, str) else stored)]
    model = Questions(space).case(*fixed)
    if model is None:
        return None
    words = {code: word for word, code in space.words.items()}
    status = words[integer_of(model, encoded.status.value)] if holds(model, encoded.settled) else "undetermined"
    shown: dict[str, object] = {}
    for name, output in encoded.outputs.items():
        if holds(model, output.present):
            shown[name] = Fraction(integer_of(model, output.value), integer_of(model, output.denominator))
    return status, shown


@pytest.mark.parametrize("prefix", ["fiscal.budget_cut.", "construction.", "enterprise.", "fiscal.special_fund."])
def test_the_solver_means_what_the_reference_evaluator_means(prefix: str) -> None:
    pack = shipped()
    dice = random.Random(7)
    compared = 0
    for identity, provision in pack.provisions.items():
        if not identity.startswith(prefix):
            continue
        for _ in range(3):
            values = {name: _value(field, dice) for name, field in provision.facts.items()}
            found = solver_outcome(provision, values, pack.reference_date)
            if found is None:
                continue
            outcome = assess(provision, values, pack.reference_date)
            assert found[0] == outcome.status, (identity, values)
            assert found[1].keys() == outcome.values.keys(), (identity, values)
            for name, value in outcome.values.items():
                if isinstance(value, (int, Fraction)):
                    assert found[1][name] == Fraction(value), (identity, name, values)
            compared += 1
    assert compared > 10


def test_the_shipped_cases_come_out_the_same_by_the_solver() -> None:
    pack = shipped()
    cases = [case for case in load_cases(pack) if case.provision.startswith("fiscal.budget_cut.") and not case.reading]
    for result in run_cases(pack, cases):
        from engine.inputs import read_inputs

        provision = pack.provision(result.case.provision)
        values: dict[str, Value | None] = dict.fromkeys(provision.facts)
        values |= read_inputs(provision, result.case.inputs)
        found = solver_outcome(provision, values, pack.reference_date)
        assert found is not None
        assert result.outcome is not None
        assert found[0] == result.outcome.status


def test_without_the_solver_there_is_a_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    pack = load_for_verification(str(FAULTY / "gap_at_90"))
    monkeypatch.setattr("engine.solver.z3", None)
    with pytest.raises(PackError) as caught:
        verify(pack)
    assert caught.value.problems[0].code == "solver-absent"
    assert "z3-solver" in caught.value.render("en")
