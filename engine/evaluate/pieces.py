"""Tables larger than memory: Parquet pieces in a folder, queried by DuckDB or Spark.

A table is appended to in pieces, or made by a query; queries are SQLGlot trees, written for the
engine when they are sent. Rows come back in order, some thousands at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import sqlglot
from sqlglot import exp

from engine.evaluate.sql_backend import Dialect

ROWS_AT_ONCE = 100_000
"""Rows of a result held at a time."""


class MemoryExceeded(Exception):
    """The memory allowed is too little for a query, even with what is spilled to the disk."""


def parsed(text: str) -> exp.Expr:
    """A query written in DuckDB's SQL as a tree, from which it is written for any engine."""
    return sqlglot.parse_one(text, read="duckdb")


def quoted(name: str) -> str:
    """A name as it stands in a query."""
    return '"' + name.replace('"', '""') + '"'


class Pieces:
    """Tables as folders of Parquet files; what an engine has to add is how a query is run over them."""

    dialect: Dialect = "duckdb"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._counts: Counter[str] = Counter()
        self._made = 0

    def append(self, name: str, frame: pl.DataFrame) -> None:
        """More rows of a table; the first piece, which may be empty, tells its columns."""
        place = self.folder / name
        place.mkdir(exist_ok=True)
        frame.write_parquet(place / f"{self._counts[name]:06d}.parquet", compression="lz4", statistics=False)
        self._counts[name] += 1

    def close(self) -> None:
        """What the engine holds is given back; the folder is its owner's to remove."""

    def finish(self, name: str) -> None:
        """The table has all its pieces and can be queried."""
        raise NotImplementedError

    def create(self, name: str, query: exp.Expr) -> None:
        """A table of what a query gives."""
        raise NotImplementedError

    def view(self, name: str, query: exp.Expr) -> None:
        """A name for a query over other tables."""
        raise NotImplementedError

    def frames(self, query: exp.Expr) -> Iterator[pl.DataFrame]:
        """What a query gives, in its order, a bounded number of rows at a time; the first frame is empty."""
        raise NotImplementedError

    def whole(self, query: exp.Expr) -> pl.DataFrame:
        """What a query gives that is known to be small."""
        return pl.concat(self.frames(query))


class DuckDbPieces(Pieces):
    """DuckDB under a memory limit of its own; what exceeds it is spilled to the folder."""

    def __init__(self, folder: Path, memory_limit: str | None = None) -> None:
        import duckdb

        super().__init__(folder)
        settings: dict[str, Any] = {"temp_directory": str(folder / "spill"), "preserve_insertion_order": False}
        if memory_limit:
            settings["memory_limit"] = memory_limit
        self.out_of_memory = duckdb.OutOfMemoryException
        self.connection = duckdb.connect(config=settings)
        self.connection.execute("SET enable_progress_bar = false")

    def close(self) -> None:
        self.connection.close()

    def view(self, name: str, query: exp.Expr) -> None:
        self.connection.execute(f"CREATE VIEW {quoted(name)} AS {query.sql('duckdb')}")

    def finish(self, name: str) -> None:
        pieces = exp.Literal.string(str(self.folder / name / "*.parquet")).sql("duckdb")
        self.view(name, parsed(f"SELECT * FROM read_parquet({pieces})"))

    def create(self, name: str, query: exp.Expr) -> None:
        (self.folder / name).mkdir()
        place = exp.Literal.string(str(self.folder / name / "made.parquet")).sql("duckdb")
        text = f"COPY ({query.sql('duckdb')}) TO {place} (FORMAT parquet, COMPRESSION lz4_raw)"
        with self._bounded():
            try:
                self.connection.execute(text)
            except self.out_of_memory:  # one thread alone needs the least
                self.connection.execute("SET threads = 1")
                self.connection.execute(text)
        self.finish(name)

    def frames(self, query: exp.Expr) -> Iterator[pl.DataFrame]:
        with self._bounded(), self.connection.cursor() as cursor:
            reader = cursor.sql(query.sql("duckdb")).to_arrow_reader(ROWS_AT_ONCE)
            yield _frame(reader.schema.empty_table())
            for batch in reader:
                yield _frame(batch)

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        try:
            yield
        except self.out_of_memory as error:
            raise MemoryExceeded(str(error).splitlines()[0]) from None


class SparkPieces(Pieces):
    """Spark over the same files: on a cluster, the folder has to be one that all of its machines see."""

    dialect: Dialect = "spark"

    def __init__(self, folder: Path, session: Any) -> None:
        super().__init__(folder)
        self.session = session

    def view(self, name: str, query: exp.Expr) -> None:
        self.session.sql(query.sql("spark")).createOrReplaceTempView(name)

    def finish(self, name: str) -> None:
        self.session.read.parquet(str(self.folder / name)).createOrReplaceTempView(name)

    def create(self, name: str, query: exp.Expr) -> None:
        self.session.sql(query.sql("spark")).write.parquet(str(self.folder / name))
        self.finish(name)

    def frames(self, query: exp.Expr) -> Iterator[pl.DataFrame]:
        """Spark writes the result in parts, which are in order by their names."""
        self._made += 1
        place = self.folder / f"result {self._made}"
        self.session.sql(query.sql("spark")).write.parquet(str(place))
        parts = sorted(place.glob("part-*.parquet"))
        yield pl.scan_parquet(parts[0]).head(0).collect()
        for part in parts:
            rows = pl.scan_parquet(part)
            for start in range(0, int(rows.select(pl.len()).collect().item()), ROWS_AT_ONCE):
                yield rows.slice(start, ROWS_AT_ONCE).collect()
            part.unlink()


def _frame(rows: Any) -> pl.DataFrame:
    found = pl.from_arrow(rows)
    assert isinstance(found, pl.DataFrame), "a query gives a table"
    return found


__all__ = ["ROWS_AT_ONCE", "DuckDbPieces", "MemoryExceeded", "Pieces", "SparkPieces", "parsed", "quoted"]
