"""The second pack: a policy of another shape, written without Python, and the page that walks through it."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from engine import load_pack
from engine.cases import load_cases, run_cases
from engine.checking import check_submission
from engine.expr import Literal, walk
from engine.kinds import STATUSES
from facts.reading import read_facts

ROOT = Path(__file__).resolve().parent.parent
PACK = load_pack("yunling_talent_2026")
FOLDER = ROOT / "rules" / "yunling_talent_2026"


def test_no_python() -> None:
    assert {path.suffix for path in FOLDER.rglob("*") if path.is_file()} == {".yaml", ".xlsx"}


def test_cases_pass() -> None:
    cases = load_cases(PACK.load_all())
    failed = [(result.case.label, result.differences) for result in run_cases(PACK, cases) if result.differences]
    assert not failed
    assert {case.provision for case in cases} == set(PACK.ids)


def test_every_status_has_a_case() -> None:
    seen: dict[str, set[str]] = {}
    for case in load_cases(PACK):
        seen.setdefault(case.provision, set()).add(case.expect["status"])
    for identity, provision in PACK.provisions.items():
        written = {node.value for node in walk(provision.status) if isinstance(node, Literal)}
        reachable = written & set(STATUSES[provision.kind])
        assert seen[identity] >= reachable - {"not_judged", "not_applicable"}, identity


@pytest.mark.parametrize(
    ("pay", "amount"),
    [("10万元", "5000.00"), ("20万元", "15000.00"), ("30万元", "30000.00"), ("100万元", "50000.00")],
)
def test_progressive_brackets(pay: str, amount: str) -> None:
    inputs = {
        "degree": "doctor", "contract_years": 3, "first_year_pay": pay,
        "contract_signed_on": "2026-04-01", "applied_on": "2026-04-02",
    }  # fmt: skip
    assert PACK.evaluate("talent.settling.allowance", inputs).amount == amount


def test_another_reading_shows_its_figure() -> None:
    inputs = {
        "degree": "doctor", "contract_years": 3, "first_year_pay": "30万元",
        "contract_signed_on": "2026-04-01", "applied_on": "2026-04-02",
    }  # fmt: skip
    (other,) = PACK.evaluate("talent.settling.allowance", inputs).readings
    assert other.outcome.amount == "45000.00"


def test_a_dated_figure() -> None:
    inputs = {
        "owns_home_in_town": False, "in_public_rental": False, "people": 3, "monthly_rent": 5000, "months": 1,
    }  # fmt: skip
    amounts = [PACK.evaluate("talent.rent.allowance", inputs, as_of=f"{year}-06-30").amount for year in (2026, 2027)]
    assert amounts == ["1200.00", "1350.00"]


def test_the_example_is_assessed() -> None:
    read = read_facts([FOLDER / "examples" / "applicants.xlsx"], dossiers=PACK.dossiers, provision=PACK.find)
    assert not read.problems
    checked = check_submission(PACK, read, date(2026, 12, 31), engine="reference")
    totals = {outcome.subject: outcome.total for outcome in checked.dossiers["applicants"]}
    # 甲: 5,000 + 10,000 + 24,000, and 1,200 for six months. 乙 applied a week late: 350 for the four months left.
    assert totals == {"甲某": 4_620_000, "乙某": 140_000, "丙某": 0, "丁某": 0}
    assert all(outcome.case is not None for outcome in checked.dossiers["applicants"])


def test_the_walk_through_quotes_the_pack() -> None:
    """Each YAML block of the page stands in the file it names."""
    page = (ROOT / "docs" / "adding-a-policy.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 8
    for name, block in blocks:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert block.strip("\n") in text or block in text, f"{name}: {block}"
