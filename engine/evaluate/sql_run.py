"""Running column plans on DuckDB and Spark, with the same answers and order as on Polars.

A batch of rows goes in as a frame and comes back as one, in order by the row number that travelled
along. Rows that a plan's SQL leaves out (`SqlPlan.required`) are evaluated by Polars.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from engine.errors import HeguiError, Problem
from engine.evaluate.columnar import ColumnPlan
from engine.evaluate.naming import ERROR
from engine.evaluate.polars_backend import PolarsPlan

if TYPE_CHECKING:
    from sqlglot import exp

    from engine.evaluate.pieces import Pieces
    from engine.evaluate.sql_backend import Dialect

ORDER = "#order"


class Evaluator(Protocol):
    """A plan ready to run over frames of stored columns."""

    def outcomes(self, frame: pl.DataFrame) -> pl.DataFrame: ...
    def missing(self, frame: pl.DataFrame) -> pl.DataFrame: ...
    def missing_throughout(self, frame: pl.DataFrame) -> tuple[str, ...] | None: ...


class Engine(Protocol):
    """What evaluates plans: `ready` prepares one, `pieces` holds tables larger than memory, `close` gives all back."""

    def ready(self, plan: ColumnPlan, words: Sequence[str]) -> Evaluator: ...
    def pieces(self, folder: Path) -> Pieces: ...
    def close(self) -> None: ...


class PolarsEngine:
    """The embedded engine; tables larger than memory are DuckDB's, under a memory limit (`4GB`)."""

    def __init__(self, memory_limit: str | None = None) -> None:
        self.memory_limit = memory_limit

    def ready(self, plan: ColumnPlan, words: Sequence[str]) -> Evaluator:
        return PolarsPlan(plan, words)

    def pieces(self, folder: Path) -> Pieces:
        from engine.evaluate.pieces import DuckDbPieces

        return DuckDbPieces(folder, self.memory_limit)

    def close(self) -> None:
        return None


class SqlEvaluator:
    """A plan as SQL texts; `run` sends one over a frame and returns the result in any order."""

    def __init__(self, plan: ColumnPlan, words: Sequence[str], dialect: Dialect,
                 run: Callable[[str, pl.DataFrame], pl.DataFrame]) -> None:
        self.plan, self.words, self.dialect, self.run = plan, tuple(words), dialect, run
        self.polars = PolarsPlan(plan, words)
        self._texts: dict[tuple[str, frozenset[str]], tuple[str, frozenset[str]]] = {}

    def outcomes(self, frame: pl.DataFrame) -> pl.DataFrame:
        return self._evaluate("outcomes", frame, self.polars.outcomes)

    def missing(self, frame: pl.DataFrame) -> pl.DataFrame:
        return self._evaluate("missing", frame, self.polars.missing)

    def missing_throughout(self, frame: pl.DataFrame) -> tuple[str, ...] | None:
        return self.polars.missing_throughout(frame)

    def _evaluate(self, what: str, frame: pl.DataFrame, other: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
        text, required = self._text(what, frame)
        wide = [pl.col(name).reinterpret(dtype=pl.Decimal(38, 0)) for name, kind in frame.schema.items()
                if kind == pl.Int128()]
        numbered = frame.with_columns(pl.int_range(frame.height, dtype=pl.Int64).alias(ORDER), *wide)
        if not required:
            return _in_order([self.run(text, numbered)], other(frame.clear()))
        known = pl.all_horizontal([pl.col(name).is_not_null() for name in sorted(required)])
        rest = numbered.filter(~known)
        parts = [self.run(text, numbered.filter(known))]
        if rest.height:
            parts.append(other(frame.filter(~known)).with_columns(rest.get_column(ORDER)))
        return _in_order(parts, other(frame.clear()))

    def _text(self, what: str, frame: pl.DataFrame) -> tuple[str, frozenset[str]]:
        from engine.evaluate.sql_backend import SqlPlan

        full = frozenset(name for name in self.plan.facts if name in frame.columns and frame[name].null_count() == 0)
        key = what, full
        if key not in self._texts:
            plan = SqlPlan(self.plan, self.dialect, self.words, full)
            query: exp.Select = plan.outcomes("rows_in", [ORDER]) if what == "outcomes" else plan.missing(
                "rows_in", [ORDER])
            self._texts[key] = query.sql(self.dialect), plan.required
        return self._texts[key]


def _in_order(parts: Sequence[pl.DataFrame], model: pl.DataFrame) -> pl.DataFrame:
    """Results as one in the order of the rows, with the types Polars gives.

    A result lacks the error of each row where none can have one.
    """
    types: dict[str, pl.DataType] = dict(model.schema)
    if ERROR in types or any(ERROR in part.columns for part in parts):
        types[ERROR] = pl.Boolean()
        parts = [part if ERROR in part.columns else part.with_columns(pl.lit(False).alias(ERROR)) for part in parts]
    return pl.concat([part.select(ORDER, *(pl.col(name).cast(kind) for name, kind in types.items()))
                      for part in parts]).sort(ORDER).drop(ORDER)


class DuckDbEngine:
    """DuckDB in this process, under a memory limit (`4GB`); it spills to disk beyond it."""

    def __init__(self, memory_limit: str | None = None, threads: int | None = None) -> None:
        import duckdb

        from engine.evaluate.sql_backend import calendar_setup

        self.memory_limit = memory_limit
        self.connection = duckdb.connect()
        if memory_limit:
            self.connection.execute(f"SET memory_limit = '{memory_limit.replace(chr(39), '')}'")
        if threads:
            self.connection.execute(f"SET threads = {int(threads)}")
        for statement in calendar_setup():
            self.connection.execute(statement)

    def ready(self, plan: ColumnPlan, words: Sequence[str]) -> Evaluator:
        return SqlEvaluator(plan, words, "duckdb", self.run)

    def pieces(self, folder: Path) -> Pieces:
        from engine.evaluate.pieces import DuckDbPieces

        return DuckDbPieces(folder, self.memory_limit)

    def run(self, text: str, frame: pl.DataFrame) -> pl.DataFrame:
        self.connection.register("rows_in", frame.to_arrow())
        try:
            found = pl.from_arrow(self.connection.sql(text).to_arrow_table())
        finally:
            self.connection.unregister("rows_in")
        assert isinstance(found, pl.DataFrame), "a query gives a table"
        return found

    def close(self) -> None:
        self.connection.close()


class SparkEngine:
    """Spark, on this machine (`local[2]`) or a cluster's master; arithmetic that overflows raises (ANSI mode).

    Errors (`HeguiError`): `engine-unavailable` without Java, or where the master cannot be reached.
    """

    def __init__(self, master: str = "local[2]") -> None:
        import logging
        import os
        import sys

        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession

        from engine.evaluate.sql_backend import calendar_arrays

        # After pyspark, which brings it, so that it is pyspark that is missed.
        from py4j.protocol import Py4JError  # isort: skip

        logging.getLogger("py4j").setLevel(logging.ERROR)
        builder: Any = SparkSession.builder
        configured = (
            builder.master(master).appName("hegui").config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false").config("spark.sql.ansi.enabled", "true")
            .config("spark.sql.shuffle.partitions", "4").config("spark.sql.execution.arrow.pyspark.enabled", "true")
            .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1"))
        try:
            self.session = configured.getOrCreate()
        except (PySparkException, Py4JError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise HeguiError(Problem("engine-unavailable", fields={"engine": "spark", "reason": reason})) from None
        self.session.sparkContext.setLogLevel("ERROR")
        arrays = calendar_arrays()
        schema = ", ".join(f"{name} array<int>" for name in arrays)
        self.session.createDataFrame([tuple(arrays.values())], schema).createOrReplaceTempView("hegui_calendar")

    def ready(self, plan: ColumnPlan, words: Sequence[str]) -> Evaluator:
        return SqlEvaluator(plan, words, "spark", self.run)

    def pieces(self, folder: Path) -> Pieces:
        from engine.evaluate.pieces import SparkPieces

        return SparkPieces(folder, self.session)

    def run(self, text: str, frame: pl.DataFrame) -> pl.DataFrame:
        self.session.createDataFrame(frame.to_arrow()).createOrReplaceTempView("rows_in")
        found = pl.from_arrow(self.session.sql(text).toArrow())
        assert isinstance(found, pl.DataFrame), "a query gives a table"
        return found

    def close(self) -> None:
        self.session.stop()


def engine_named(name: str, memory_limit: str | None = None, master: str | None = None) -> Engine:
    """The engine of that name: `polars`, `duckdb` or `spark`."""
    if name == "duckdb":
        return DuckDbEngine(memory_limit)
    if name == "spark":
        return SparkEngine(master or "local[2]")
    return PolarsEngine(memory_limit)
