"""Inputs nobody would write: nothing but problems of ours comes of them, and no row goes missing.

`benchmarks/fuzz.py` runs the same targets for as long as one likes.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.values import Unreadable, read_value
from facts.cells import reader_for
from facts.reading import read_facts
from fuzzing import SCOPE, TARGETS, Mutator, corpus, pack
from strategies import expressions

COMMON = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("target", list(TARGETS))
def test_right_inputs_are_taken(target: str) -> None:
    for data in corpus(target)[:20]:
        TARGETS[target](data)


@pytest.mark.parametrize(("target", "inputs"), [
    ("expression", 1500), ("cell", 600), ("provision", 150), ("pack", 40), ("csv", 60), ("json", 120), ("yaml", 120),
    ("xlsx", 25),
])  # fmt: skip
def test_nearly_right_inputs_give_problems_and_no_crash(target: str, inputs: int) -> None:
    mutator = Mutator(20190322)
    for _ in range(inputs):
        data = mutator.input(target)
        began = perf_counter()
        try:
            TARGETS[target](data)
        except Exception as error:
            raise AssertionError(f"{error!r} on {data[:3000]!r}") from error
        assert perf_counter() - began < 5, data[:3000]


@COMMON
@given(st.text(max_size=200))
def test_any_text_is_an_expression_or_a_problem(text: str) -> None:
    TARGETS["expression"](text.encode("utf-8", "replace"))


@COMMON
@given(expressions(), st.data())
def test_an_expression_with_a_character_changed_is_one_or_a_problem(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    TARGETS["expression"]((text[:place] + data.draw(st.characters(codec="utf-8")) + text[place + 1 :]).encode())


@COMMON
@given(st.text(max_size=60))
def test_any_text_is_a_value_or_a_problem(text: str) -> None:
    TARGETS["cell"](text.encode("utf-8", "replace"))


@COMMON
@given(st.one_of(st.integers(), st.floats(), st.decimals(), st.fractions(), st.booleans(), st.dates(), st.datetimes(),
                 st.times(), st.timedeltas(), st.none(), st.binary(max_size=5)))  # fmt: skip
def test_any_python_value_is_a_value_or_a_problem(raw: Any) -> None:
    for of in SCOPE.types.values():
        try:
            read_value(raw, of)
        except Unreadable:
            continue


@COMMON
@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.text(max_size=30)))
def test_a_cell_read_is_within_its_bounds(raw: Any) -> None:
    for field in list(pack().fields.values())[:60]:
        try:
            value = reader_for(field)(raw, None)
        except Unreadable:
            continue
        if value is not None and field.minimum is not None:
            assert value >= field.minimum  # type: ignore[operator]
        if value is not None and field.maximum is not None:
            assert value <= field.maximum  # type: ignore[operator]
        assert not isinstance(value, float)


CELLS = st.one_of(
    st.sampled_from(
        ("1000", "849万元", "", "—", "x", "１２", "1.2亿", "-5", "85%", "合计", "1,000", "9" * 300, "=1+1")
    ),
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters='",\r\n\t;|，\0\ufeff'), max_size=12),
)


@COMMON
@given(st.lists(st.lists(CELLS, min_size=4, max_size=4), max_size=12), st.sampled_from(("\n", "\r\n")))
def test_no_row_of_a_table_goes_missing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], end: str
) -> None:
    """Each line below the heading is accepted, rejected or skipped, and each subject that was read is one of them."""
    lines = ["部门名称,争取资金任务(元),实际争取资金(元),下年度公用经费(元)"]
    lines += [",".join([f"第{number}局", *(cell.replace("\x85", "").replace("\u2028", "") for cell in row[1:])])
              for number, row in enumerate(rows)]  # fmt: skip
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    path.write_bytes((end.join(lines) + end).encode())
    submission = read_facts([path], dossiers=pack().dossiers)
    counts = submission.counts
    assert counts.rows_in == len(rows)
    names = [str(case.subject.values["department_name"]) for case in submission.cases]
    assert len(set(names)) == len(names) == counts.accepted
    assert set(names) <= {f"第{number}局" for number in range(len(rows))}
    wrong = {problem.location.line for problem in submission.errors if problem.location.line}
    assert counts.rejected <= len(wrong) or not counts.rejected
