"""Of each exclusivity group the highest counts: by arrays and by hashing, held against a loop over the rows."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from engine.batch import ARISES, CASE, COUNTED, ROW, YIELDS
from engine.exclusivity import DENSE, highest_only
from engine.model import FromField

MATTER: Any = SimpleNamespace(step=SimpleNamespace(
    matter=SimpleNamespace(highest_of=(FromField("r", "year"), FromField("r", "kind")))))


def by_hand(rows: list[dict[str, Any]]) -> list[tuple[int | None, int | None]]:
    """For each row what counts, and the row that is paid instead; an unknown amount leaves its group open."""
    groups: dict[Any, list[int]] = {}
    for place, row in enumerate(rows):
        alone = row["year"] is None or row["kind"] is None
        if row["here"] is not False:
            groups.setdefault(("alone", place) if alone else (row["case"], row["year"], row["kind"]), []).append(place)
    found: list[tuple[int | None, int | None]] = [(None, None)] * len(rows)
    for places in groups.values():
        own = [rows[place]["own"] for place in places]
        if len(places) == 1 and groups.get(("alone", places[0])):
            found[places[0]] = own[0], None
        elif None not in own:
            first = places[own.index(max(own))]
            for place, amount in zip(places, own, strict=True):
                found[place] = (amount, None) if place == first else (0, rows[first]["row"] if amount > 0 else None)
    return found


def random_rows(chance: random.Random, count: int, years: list[Any], kinds: list[Any]) -> list[dict[str, Any]]:
    return [{"row": 2 + place, "case": chance.randrange(4), "year": chance.choice(years), "kind": chance.choice(kinds),
             "own": chance.choice([None, 0, 0, 1, 5, 5, 10**11]) if chance.random() < 0.3 else chance.choice([0, 5, 7]),
             "here": chance.choice([True, True, True, None, False])} for place in range(count)]  # fmt: skip


@pytest.mark.parametrize("dense", [DENSE, -(10**9)], ids=["arrays", "hashing"])
@pytest.mark.parametrize(("years", "kinds"), [
    ([2018, 2019], [1, 2, 3]), ([2018, None], [True, False]), ([2018, 10**15], [0]), ([2019], ["甲", "乙", None]),
    ([None], [None]), ([-1, 0], [0, 1])])  # fmt: skip
@pytest.mark.parametrize("seed", range(6))
def test_the_first_of_the_highest(
        seed: int, years: list[Any], kinds: list[Any], dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.exclusivity.DENSE", dense)
    chance = random.Random(seed)
    rows = random_rows(chance, chance.choice([1, 2, 30, 200]), years, kinds)
    frame = pl.DataFrame({ROW: [row["row"] for row in rows], CASE: [row["case"] for row in rows],
                          "year": [row["year"] for row in rows], "kind": [row["kind"] for row in rows]})  # fmt: skip
    done = pl.DataFrame({COUNTED: [row["own"] for row in rows], ARISES: [row["here"] for row in rows]},
                        schema={COUNTED: pl.Int64, ARISES: pl.Boolean})  # fmt: skip
    found = highest_only(MATTER, frame, done)
    assert list(zip(found[COUNTED], found[YIELDS], strict=True)) == by_hand(rows)


def test_amounts_too_large_for_one_number_with_their_place() -> None:
    """Beyond 64 bits amount and place go into 128."""
    amounts = [2**61, 2**61 + 1, 2**61 + 1]
    frame = pl.DataFrame({ROW: [2, 3, 4], CASE: [0, 0, 0], "year": [1, 1, 1], "kind": [1, 1, 1]})
    found = highest_only(MATTER, frame, pl.DataFrame({COUNTED: amounts}))
    assert found[COUNTED].to_list() == [0, 2**61 + 1, 0]
    assert found[YIELDS].to_list() == [3, None, 3]
