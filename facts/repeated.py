"""Subjects that a large table names more than once, and the rows that are refused for it, as `facts.joining` has it.

The names are gone through once beforehand, of which eight bytes a row are kept. Only where one occurs
again the table is read a second time, for the rows that bear such a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from engine.batch import ROW, Program
from engine.errors import Problem
from engine.model import Dossier
from engine.source import Location
from engine.values import Value, fold
from facts.blocks import Block, BlockReader
from facts.lines import Lines

_PLAIN = r"^[\u4e00-\u9fff0-9a-z]*$"
"""Names that are their own folded form."""
_FOLD, _FAULTY, _ODD = "#fold", "#faulty", "#odd"


def folded(names: pl.Series) -> pl.Series:
    """Names as they are compared (`fold`)."""
    other = names.filter(~names.str.contains(_PLAIN)).unique()
    if not other.len():
        return names
    return names.replace(other, pl.Series([fold(name) for name in other], dtype=pl.String))


class Repeated:
    """The rows of a table whose subject is named in another row too.

    `rows` are the numbers of those that are refused for it; `told` has for each problem the rows it
    is told with (`with`), at and about, the name, and whether both rows say the same.
    """

    def __init__(self, dossier: Dossier, rows: pl.Series, told: pl.DataFrame) -> None:
        self.record = dossier.records[dossier.subject]
        self.rows, self.told = rows, told

    def refuse(self, block: Block, lines: Lines, place: Callable[[int], Location], room: int) -> None:
        """Takes such rows out of a block; at most `room` problems are told of them."""
        refused = {*self.rows.filter(_within(self.rows, lines))}
        block.frame = block.frame.filter(~block.frame.get_column(ROW).is_in(list(refused)))
        block.loose = [one for one in block.loose if one[0] not in refused]
        if refused:
            block.rejected["duplicate"] = block.rejected.get("duplicate", 0) + len(refused)
        label = self.record.label
        told = self.told.filter(_within(self.told.get_column("with"), lines))
        block.problems += [Problem("duplicate-subject" if same else "conflicting-subject", place(at), {
            "key": name, "record": label.zh, "record_en": label.en or self.record.name, "first_at": str(place(other))})
            for _, at, other, name, same in told.head(room).iter_rows()]


def _within(numbers: pl.Series, lines: Lines) -> pl.Series:
    return numbers.is_between(lines.first, lines.first + lines.height, closed="left")


def repeated_subjects(dossier: Dossier, reader: BlockReader) -> Repeated | None:
    """Which rows of a table of subjects are refused because another bears their name; None where none is."""
    key = dossier.records[dossier.subject].key
    if key is None or reader.key_index is None:
        return None
    import numpy as np

    parts = [folded(names.drop_nulls()).hash().to_numpy()
             for lines in reader.source.blocks() if (names := _names(reader, key, lines)).len()]
    hashes = np.sort(np.concatenate(parts)) if parts else np.empty(0, np.uint64)
    again = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if not len(again):
        return None
    found = pl.concat([_rows(reader, key, lines).filter(pl.col(_FOLD).hash().is_in(pl.Series(again).implode()))
                       for lines in reader.source.blocks()])
    first = found.group_by(_FOLD).agg(pl.all().sort_by(ROW).first())
    given = [name for name in found.columns if name not in (ROW, _FOLD, _FAULTY)]
    pairs = found.join(first, on=_FOLD, suffix=" first").filter(pl.col(ROW) > pl.col(f"{ROW} first")).sort(ROW)
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name} first")) for name in given)
    pairs = pairs.with_columns(same.alias("same"))
    if not pairs.height:
        return None
    later = pairs.select(pl.col(ROW).alias("with"), pl.col(ROW).alias("at"), pl.col(f"{ROW} first").alias("about"),
                         pl.col(key).alias("name"), "same")
    both = pairs.filter(~pl.col("same") & ~pl.col(f"{_FAULTY} first")).unique(f"{ROW} first", keep="first").select(
        pl.col(ROW).alias("with"), pl.col(f"{ROW} first").alias("at"), pl.col(ROW).alias("about"),
        pl.col(f"{key} first").alias("name"), "same")
    rows = pl.concat([pairs.filter(~pl.col(_FAULTY)).get_column(ROW), both.get_column("at")])
    return Repeated(dossier, rows, pl.concat([later, both]).sort("with", maintain_order=True))


def _names(reader: BlockReader, key: str, lines: Lines) -> pl.Series:
    """The names in some lines, and perhaps what is none."""
    assert reader.key_index is not None
    if isinstance(lines.data, pl.DataFrame):
        return lines.data.to_series(reader.key_index)
    found = reader.parser.column(lines.data, reader.key_index) if reader.fast and lines.odd is None else None
    return found if found is not None else _rows(reader, key, lines).get_column(key)


def _rows(reader: BlockReader, key: str, lines: Lines) -> pl.DataFrame:
    """All rows of some lines that could be read in part at least, with what they say."""
    block = reader.read(lines)
    program = reader.program
    facts = [name for name in block.frame.columns if name in program.fields]
    frames = [block.frame.select(ROW, *facts).with_columns(
        pl.lit(False).alias(_FAULTY), pl.lit(None, dtype=pl.String).alias(_ODD))]
    other = [(number, values, False) for number, _, values in block.loose]
    other += [(draft.row.at.line or 0, dict(draft.row.values), True) for draft in block.faulty]
    if other:
        schema = dict(frames[0].schema)
        frames.append(pl.DataFrame([_stored(program, facts, *one) for one in other], schema=schema))
    found = pl.concat(frames)
    return found.with_columns(folded(found.get_column(key)).alias(_FOLD)).filter(pl.col(key).is_not_null())


def _stored(program: Program, facts: list[str], number: int, values: Mapping[str, Value | None],
            faulty: bool) -> dict[str, object]:
    """A row not all of which columns hold: what they hold of it, and the rest as a text (unreadable cells as such)."""
    found: dict[str, object] = {ROW: number, _FAULTY: faulty}
    odd = []
    for name in facts:
        try:
            found[name] = program.words.stored(values.get(name), program.fields[name].type)
        except ValueError:
            odd.append(f"{name}={values[name]}")
        if name not in values:
            odd.append(name)
    return found | {_ODD: " ".join(odd) or None}


__all__ = ["Repeated", "folded", "repeated_subjects"]
