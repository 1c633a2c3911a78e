"""Exclusivity groups: of what cannot be had together only the highest amount counts.

A group is told by its case and by the keys that its matter names. Where these are whole numbers of a
small range, as numbers of cases, years and places of words are, a group is a place in an array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.batch import ARISES, CASE, COUNTED, ROW, YIELDS, Prepared

if TYPE_CHECKING:
    import numpy as np

DENSE = 8
"""Places a row up to which groups are places in an array."""
_PLACE, _OWN, _HERE, _FIRST, _OPEN = "#place", "#own", "#here", "#first", "#open"


def highest_only(prepared: Prepared, frame: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Of each exclusivity group only the highest amount counts, the first of equals; the others yield to it.

    `YIELDS` holds the row that is paid instead. Where one amount of a group is unknown, so is what
    counts of all of them.
    """
    matter = prepared.step.matter
    if matter is None or matter.highest_of is None:
        return found
    height = found.height
    here = pl.col(ARISES).fill_null(True) if ARISES in found.columns else pl.lit(True)
    keys = [frame.get_column(CASE)] + [
        frame.get_column(source.field) if source.field in frame.columns else pl.Series([None]).new_from_index(0, height)
        for source in matter.highest_of
    ]
    names = [f"#k{place}" for place, _ in enumerate(keys)]
    rows = found.select(pl.col(COUNTED).alias(_OWN), here.alias(_HERE)).with_columns(
        pl.int_range(height).alias(_PLACE), *(key.alias(name) for key, name in zip(keys, names, strict=True))
    )
    grouped = rows
    if not rows.get_column(_HERE).all() or any(key.null_count() for key in keys):
        grouped = rows.filter(pl.all_horizontal(_HERE, *(pl.col(name).is_not_null() for name in names)))
    is_first = pl.col(_FIRST) == pl.col(_PLACE)
    settled = grouped.with_columns(_first_of_groups(grouped, names)).select(
        pl.col(_PLACE),
        pl.when(~pl.col(_OPEN)).then(pl.when(is_first).then(_OWN).otherwise(0)).alias(COUNTED),
        pl.when(~pl.col(_OPEN) & ~is_first & (pl.col(_OWN) > 0))
        .then(pl.lit(frame.get_column(ROW)).gather(_FIRST))
        .cast(pl.Int64)
        .alias(YIELDS),
    )
    if settled.height < height:  # a row outside every group is a group of its own
        alone = rows.select(
            pl.col(_PLACE), pl.when(_HERE).then(_OWN).alias(COUNTED), pl.lit(None, dtype=pl.Int64).alias(YIELDS)
        )
        settled = alone.update(settled, on=_PLACE, how="left", include_nulls=True)
    return found.with_columns(settled.get_column(COUNTED), settled.get_column(YIELDS))


def _first_of_groups(grouped: pl.DataFrame, names: Sequence[str]) -> list[pl.Series]:
    """For each row the place of its group's highest amount, and whether some amount of the group is unknown."""
    # The amount, and among equals the earlier row, in one number.
    size, own = 2 ** int(grouped.get_column(_PLACE).max() or 1).bit_length(), grouped.get_column(_OWN)  # type: ignore[arg-type]
    largest = max(abs(int(own.min() or 0)), abs(int(own.max() or 0)))  # type: ignore[arg-type]  # whole numbers
    wide = pl.Int64 if (largest + 1) * size < 2**63 else pl.Int128
    score = pl.col(_OWN).cast(wide) * size + (size - 1 - pl.col(_PLACE))
    places = _array_places([grouped.get_column(name) for name in names]) if wide == pl.Int64 else None
    if places is not None:
        import numpy as np

        scores = grouped.select(score).to_series()
        lowest = np.iinfo(np.int64).min
        best = np.full(int(places.max()) + 1, lowest, np.int64)
        np.maximum.at(best, places, scores.fill_null(lowest).to_numpy())
        unknown = np.zeros(len(best), np.bool_)
        unknown[places[own.is_null().to_numpy()]] = True
        first = np.where(best == lowest, 0, size - 1 - (best & (size - 1)))
        return [pl.Series(_FIRST, first[places]), pl.Series(_OPEN, unknown[places])]
    best_of = grouped.group_by(names).agg(score.max().alias("#score"), pl.col(_OWN).is_null().any().alias(_OPEN))
    joined = grouped.join(best_of, on=names, how="left", maintain_order="left")
    place = size - 1 - (pl.col("#score") - pl.col("#score") // size * size)
    return joined.select(place.cast(pl.Int64).alias(_FIRST), _OPEN).get_columns()


def _array_places(keys: Sequence[pl.Series]) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """Each row's group as a place in an array; None where keys are no whole numbers or lie too far apart."""
    rows = keys[0].len()
    if not rows or not all(key.dtype.is_integer() for key in keys):
        return None
    import numpy as np

    places, room = np.zeros(rows, np.int64), 1
    for key in keys:
        low, high = int(key.min()), int(key.max())  # type: ignore[arg-type]  # whole numbers, none of them null
        room *= high - low + 1
        if room > DENSE * rows + 1024:
            return None
        places *= high - low + 1
        places += key.to_numpy().astype(np.int64) - low
    return places


__all__ = ["highest_only"]
