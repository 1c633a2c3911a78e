"""Packs: everything wrong with one is said at once, at its place, and nothing crashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import PackError, load_pack
from packs import HEADER, one, write_pack

GOOD = """
- id: tiny.one
  kind: entitlement
  label: {zh: 一, en: one}
  plan: 1
  at: 一
  summary: {zh: 概括, en: summary}
  facts: [{amount: {type: money, zh: 金额}}]
  require: [amount > 0元]
  amount: amount
"""


def test_a_small_pack_loads_and_answers(tmp_path: Path) -> None:
    pack = load_pack(write_pack(tmp_path, GOOD)).load_all()
    outcome = pack.evaluate("tiny.one", {"amount": "3.5"})
    assert (outcome.status, outcome.amount) == ("eligible", "3.50")
    assert outcome.to_dict()["citation"]["path"] == "一"
    assert len(pack.digest) == 64


BROKEN = {
    "unknown key": (GOOD + "  requires: [amount > 1元]\n", ["unknown-key"]),
    "duplicate key": (GOOD + "  amount: 1元\n", ["duplicate-key"]),
    "duplicate id": (GOOD + GOOD, ["duplicate-id"]),
    "unknown kind": (GOOD.replace("entitlement", "entitlment"), ["bad-value"]),
    "wrong unit": (GOOD.replace("amount > 0元", "amount > 0"), ["type-mismatch"]),
    "two faults": (GOOD.replace("amount > 0元", "amuont > 0元").replace("amount: amount\n", "amount: 5%\n"),
                   ["unknown-name", "wrong-type"]),
    "table gap": (GOOD + """
  tables:
  - {on: [amount], gives: {x: money}, rows: [["< 100元", 1元], ["> 100元", 2元]]}
""", ["table-gap"]),
    "table overlap": (GOOD + """
  tables:
  - {on: [amount], gives: {x: money}, rows: [["<= 100元", 1元], [">= 100元", 2元]]}
""", ["table-overlap"]),
    "unreachable row": (GOOD + """
  tables:
  - {hit: first, on: [amount], gives: {x: money}, rows: [[-, 1元], ["< 100元", 2元]]}
""", ["table-row-unreachable"]),
    "row too short": (GOOD + """
  tables:
  - {on: [amount], gives: {x: money}, rows: [[1元]]}
""", ["wrong-shape"]),
    "alias": (GOOD.replace("[{amount", "&a [{amount"), ["yaml-alias"]),
    "tag": (GOOD.replace("at: 一", "at: !!python/object/apply:os.system [ls]"), ["yaml-tag"]),
    "bad yaml": ("- id: tiny.one\n  kind: [\n", ["yaml-syntax"]),
    "no id": (GOOD.replace("- id: tiny.one\n  kind", "- kind"), ["missing-key"]),
    "tab": (GOOD.replace("  kind", "\tkind"), ["yaml-syntax"]),
    "unknown plan": (GOOD.replace("plan: 1", "plan: 9"), ["bad-value"]),
    "attribute": (GOOD.replace("amount > 0元", "amount.__class__ == 1"), ["expression-not-allowed"]),
    "bad enum": (GOOD.replace("{type: money, zh: 金额}", "{type: money, zh: 金额}}, {level: {type: enum, values: {a: 甲}}}, {x: {type: percnt}"),
                 ["bad-value"]),
    "date": (GOOD + "  in_force: {from: 2019-02-30}\n", ["bad-value"]),
    "too wide": (GOOD.replace("  amount: amount\n", "  amount: amount * 1000000\n"), ["too-wide"]),
    "negative divisor": (GOOD.replace("  amount: amount\n", "  amount: amount / (amount / 1元 - 500%)\n"),
                         ["divisor-may-be-negative"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_pack_names_every_fault_and_its_place(name: str, tmp_path: Path) -> None:
    text, codes = BROKEN[name]
    with pytest.raises(PackError) as caught:
        load_pack(write_pack(tmp_path, text)).load_all()
    assert [problem.code for problem in caught.value.problems] == codes, caught.value.render("en")
    for problem in caught.value.problems:
        assert problem.location.file.endswith("all.yaml")
        assert problem.location.line is not None
        assert problem.message("zh")
        assert problem.message("en")


def test_the_place_is_the_line_and_column_of_the_fault(tmp_path: Path) -> None:
    with pytest.raises(PackError) as caught:
        load_pack(write_pack(tmp_path, GOOD.replace("amount > 0元", "amuont > 0元"))).load_all()
    text = caught.value.render("en")
    assert "all.yaml:9:13: unknown-name: `amuont` is neither a fact, a parameter nor a `let`" in text
    assert "did you mean `amount`?" in text
    assert "\n                ^^^^^^\n" in text


def test_a_missing_pack_lists_those_there_are() -> None:
    with pytest.raises(PackError) as caught:
        load_pack("chuxiong_2091")
    assert "chuxiong_2019" in caught.value.render("zh")


def test_yaml_scalars_are_text_typed_by_the_field(tmp_path: Path) -> None:
    pack = one(tmp_path, "obligation", """
        facts: [{code: {type: text, zh: 代码}}, {no: {type: boolean, zh: 否}}]
        duty: code == '0100' and not no
        """)
    assert pack.evaluate("tiny.one", {"code": "0100", "no": "no"}).status == "compliant"
    assert pack.evaluate("tiny.one", {"code": "91532300E123", "no": "否"}).status == "breach"


def test_a_parameter_before_its_first_value_is_unknown_and_says_so(tmp_path: Path) -> None:
    pack = one(tmp_path, "entitlement", """
        facts: [{base: {type: money, zh: 基数}}]
        amount: base * rate
        """, parameters="rate: {type: percent, zh: 比例, values: {2019-05-01: 1%, 2018-01-01: 3%}}\n")
    assert pack.evaluate("tiny.one", {"base": "100"}, as_of="2019-04-30").amount == "3.00"
    assert pack.evaluate("tiny.one", {"base": "100"}, as_of="2019-05-01").amount == "1.00"
    early = pack.evaluate("tiny.one", {"base": "100"}, as_of="2017-12-31")
    assert (early.status, early.amount, early.missing) == ("undetermined", None, ())
    assert "2017-12-31" in early.reasons[0].zh


def test_another_reading_is_a_variant_of_the_provision(tmp_path: Path) -> None:
    pack = one(tmp_path, "entitlement", """
        facts: [{base: {type: money, zh: 基数}}]
        let: {half: base * 50%}
        amount: half
        readings:
        - point: {zh: 比例, en: rate}
          chosen: {zh: 一半, en: half}
          why: {zh: 条文, en: text}
          others: [{zh: 三分之一, en: a third, with: {let: {half: base / 3}}}, {zh: 其他, en: other}]
        """)
    outcome = pack.evaluate("tiny.one", {"base": "100"})
    assert outcome.amount == "50.00"
    assert [(item.reading, item.number, item.outcome.amount) for item in outcome.readings] == [("1", 2, "33.33")]
    assert pack.evaluate("tiny.one", {"base": "100"}, readings={"1": 2}).amount == "33.33"
    assert pack.evaluate("tiny.one", {"base": "0"}).readings == ()


def test_the_digest_changes_with_the_rules_and_not_with_the_cases(tmp_path: Path) -> None:
    first = load_pack(write_pack(tmp_path / "a", GOOD)).digest
    assert load_pack(write_pack(tmp_path / "b", GOOD, cases__all="[]")).digest == first
    assert load_pack(write_pack(tmp_path / "c", GOOD.replace("0元", "1元"))).digest != first
    assert load_pack(write_pack(tmp_path / "d", GOOD, header=HEADER.replace('"1"', '"2"'))).digest != first


def test_exceptions_of_one_status_keep_their_own_amounts(tmp_path: Path) -> None:
    pack = one(tmp_path, "entitlement", """
        facts: [{x: {type: money, zh: 额}}]
        exceptions:
        - {when: x > 10元, status: exceeds_general_limit, amount_max: 10元}
        - {when: x > 5元, status: exceeds_general_limit, amount_max: 5元}
        amount: x
        """)
    found = [pack.evaluate("tiny.one", {"x": x}) for x in ("5", "5.01", "10", "10.01")]
    assert [outcome.amount_max for outcome in found] == [None, "5.00", "5.00", "10.00"]
    assert found[0].amount == "5.00"


def test_an_unknown_measure_leaves_a_sanction_open(tmp_path: Path) -> None:
    pack = one(tmp_path, "sanction", """
        facts: [{bad: 违规}, {serious: 严重}]
        triggers: bad
        measures: [曝光, {zh: 清出, en: expel, if: serious}]
        """)
    assert pack.evaluate("tiny.one", {"bad": True}).missing == ("serious",)
    assert [item.zh for item in pack.evaluate("tiny.one", {"bad": True, "serious": True}).measures] == ["曝光", "清出"]
    assert pack.evaluate("tiny.one", {"bad": False}).status == "not_triggered"
