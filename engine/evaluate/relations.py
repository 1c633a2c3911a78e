"""The group parts of a dossier as SQL: what a matter takes from other rows, and the highest of each group.

The meaning is that of `engine.batch_cases`, which does the same in memory. Each record is a table
`rows_<record>` of stored columns with `#n` (a row's number, in the order of the input) and `#case`
(the number of its subject). Results are a table `results`, one row for each row and matter. A row that
may belong makes a sum unknown; a group with an unknown key is a group of one row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field

from sqlglot import exp

from engine.dataclass import dataclass
from engine.evaluate.pieces import parsed, quoted
from engine.model import Brought, FromAny, FromField, FromSum
from engine.values import Value

N, CASE, ORDER = "#n", "#case", "#order"

Stored = Callable[[str, str, Value | None], int | str | bool | None]
"""A value of a record's field as the field's column stores it."""


def rows_of(record: str) -> str:
    """The table of a record's rows."""
    return f"rows_{record}"


def _value(stored: int | str | bool | None) -> str:
    return exp.convert(stored).sql("duckdb")


def _all(conditions: Iterable[str]) -> str:
    return " AND ".join(f"({one})" for one in conditions) or "TRUE"


@dataclass
class Relations:
    """Writes the queries of a dossier whose records have certain columns.

    `columns` are those of each record that has a table; `stored` tells how constants are stored.
    """

    columns: Mapping[str, Collection[str]]
    stored: Stored
    joins: list[str] = field(default_factory=list, init=False)

    def brought(self, record: str, sources: Mapping[str, Brought], keep: Sequence[str]) -> exp.Expr:
        """The columns `keep` of a record's rows, and one for each of `sources` by its name."""
        self.joins = []
        known: dict[Brought, str] = {}
        columns = [f"l.{quoted(name)}" for name in keep]
        for name, source in sources.items():
            if source not in known:
                known[source] = (self._elsewhere(source) if isinstance(source, FromField)
                                 else self._over(source, record))
            columns.append(f"{known[source]} AS {quoted(name)}")
        return parsed(f"SELECT {', '.join(columns)} FROM {rows_of(record)} AS l {' '.join(self.joins)}")

    def _join(self, query: str, on: str) -> str:
        """A subquery joined to the rows; its alias."""
        alias = f"j{len(self.joins)}"
        self.joins.append(f"LEFT JOIN ({query}) AS {alias} ON {on.replace('@', alias)}")
        return alias

    def _elsewhere(self, source: FromField) -> str:
        """A field of another record of the case, known where that has exactly one row."""
        if source.field not in self.columns.get(source.record, ()):
            return "CAST(NULL AS BIGINT)"
        alias = self._join(
            f'SELECT "{CASE}", MAX({quoted(source.field)}) AS "#x" FROM {rows_of(source.record)} '
            f'GROUP BY "{CASE}" HAVING COUNT(*) = 1', f'l."{CASE}" = @."{CASE}"')
        found = f'{alias}."#x"'
        if source.choices is None:
            return found
        known = sorted(str(self.stored(source.record, source.field, word)) for word in source.choices)
        other = _value(self.stored(source.record, source.field, source.otherwise))
        inside = f" OR {found} IN ({', '.join(known)})" if known else ""
        return f"CASE WHEN {found} IS NULL{inside} THEN {found} ELSE {other} END"

    def _over(self, source: FromSum | FromAny, record: str) -> str:
        """A sum over the related rows that belong, or whether there is one; null where that is not known."""
        of_sum = isinstance(source, FromSum)
        if source.record not in self.columns:
            return "CAST(0 AS BIGINT)" if of_sum else "FALSE"
        keys = [(name, target) for name, target in source.where if isinstance(target, FromField)]
        assert all(target.record == record for _, target in keys), "a sum compares with the row it is for"
        holds = _all(f"{self._column(source.record, name)} = {_value(self.stored(source.record, name, target))}"
                     for name, target in source.where if not isinstance(target, FromField))
        right = [self._column(source.record, name) for name, _ in keys]
        left = [self._column(record, target.field, "l.") for _, target in keys]
        named = [f'"#r{place}"' for place in range(len(keys))]
        value = self._column(source.record, source.field) if isinstance(source, FromSum) else "1"
        selected = ", ".join([f'"{CASE}"', *(f"{one} AS {name}" for one, name in zip(right, named, strict=True))])
        full = _all([f"COALESCE({holds}, FALSE)", *(f"{one} IS NOT NULL" for one in right)])
        related = (f'SELECT {selected}, CAST({value} AS BIGINT) AS "#value", {full} AS "#full" '
                   f"FROM {rows_of(source.record)} WHERE COALESCE({holds}, TRUE)")
        group = ", ".join([f'"{CASE}"', *named])
        matched = [f'l."{CASE}" = @."{CASE}"', *(f"{one} = @.{name}" for one, name in zip(left, named, strict=True))]
        sums = self._join(
            f'SELECT {group}, CAST(SUM("#value") AS BIGINT) AS "#sum", COUNT(*) - COUNT("#value") AS "#open" '
            f'FROM ({related}) AS f WHERE "#full" GROUP BY {group}', _all(matched))
        agree = _all([f'l."{CASE}" = r."{CASE}"', *(
            f"COALESCE({one} = r.{name}, TRUE)" for one, name in zip(left, named, strict=True))])
        own = f"FROM {rows_of(record)} AS l JOIN"
        doubtful = (f'SELECT l."{N}" {own} (SELECT DISTINCT {group} FROM ({related}) AS a WHERE NOT "#full") AS r '
                    f"ON {agree}")
        if keys:
            part_known = " OR ".join(f"{one} IS NULL" for one in left)
            doubtful += (f' UNION SELECT l."{N}" {own} (SELECT DISTINCT {group} FROM ({related}) AS b) AS r '
                         f"ON {agree} WHERE {part_known}")
        doubt = self._join(f'SELECT DISTINCT "{N}" FROM ({doubtful}) AS d', f'l."{N}" = @."{N}"')
        certain = f'{doubt}."{N}" IS NULL'
        if of_sum:
            return (f'CASE WHEN {certain} AND COALESCE({sums}."#open", 0) = 0 '
                    f'THEN COALESCE({sums}."#sum", CAST(0 AS BIGINT)) END')
        return f'CASE WHEN NOT {sums}."#sum" IS NULL THEN TRUE WHEN {certain} THEN FALSE END'

    def _column(self, record: str, name: str, of: str = "") -> str:
        """A field's column; one that was not submitted is unknown throughout."""
        return of + quoted(name) if name in self.columns[record] else "NULL"


def highest_only(table: str, columns: Sequence[str], keys: Sequence[str], counted: str, yields: str) -> exp.Expr:
    """Rows of results of which only the highest of each group counts, the first of equals.

    A group has the same `#order` (matter), `#case` and `keys`. `counted` becomes zero for those that
    yield, null for all of a group where one is not known; `yields` the row that is paid instead.
    """
    unknown = " OR ".join(f"{quoted(key)} IS NULL" for key in keys)
    partition = ", ".join(quoted(name) for name in (ORDER, CASE, *keys))
    over = f'PARTITION BY {partition}, CASE WHEN {unknown} THEN "{N}" END'
    amount = quoted(counted)
    kept = [quoted(name) for name in columns if name not in (counted, yields)]
    return parsed(f"""
        SELECT {', '.join(kept)},
          CASE WHEN "#open" > 0 THEN NULL WHEN "{N}" = "#best" THEN {amount} ELSE CAST(0 AS DECIMAL(38, 2)) END
            AS {amount},
          CASE WHEN "#open" = 0 AND "{N}" <> "#best" AND {amount} > 0 THEN "#best" END AS {quoted(yields)}
        FROM (SELECT *,
            FIRST_VALUE("{N}") OVER ({over} ORDER BY {amount} DESC, "{N}") AS "#best",
            COUNT(*) OVER ({over}) - COUNT({amount}) OVER ({over}) AS "#open"
          FROM {quoted(table)}) AS w""")


__all__ = ["CASE", "ORDER", "N", "Relations", "highest_only", "rows_of"]
