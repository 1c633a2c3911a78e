"""Hegui over the workloads: typed columns in, result columns out, on each of its engines."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from benchmarks.workloads import AS_OF, PROMOTIONS, Workload
from engine.batch import COUNTED, ROW, SUBJECT, Assessment, Program, Step
from engine.batch_cases import CASE, highest_only
from engine.evaluate.naming import STATUS, value_column
from engine.evaluate.sql_run import PolarsEngine, engine_named
from engine.load import load_pack
from engine.model import Constant, FromField, Matter

Result = dict[str, pl.Series]
BLOCK = 262_144


def prepare(workload: Workload, frame: pl.DataFrame, engine: str) -> Callable[[], Result]:
    """A function that evaluates the whole table; plans are made once, as a batch makes them."""
    pack = load_pack("chuxiong_2019")
    provision = pack.provision(workload.provision)
    assessment = Assessment(AS_OF, None)
    if workload.name == "rewards":
        return _rewards(frame, engine)
    present = frozenset(frame.columns)
    steps = [Step(provision, {name: FromField("", name) for name in provision.facts if name in present})]
    program = Program(steps, provision.facts, present, assessment, engine=engine_named(engine))
    numbered = _numbered(frame)
    codes = pl.Series(
        [workload.statuses.index(word) if word in workload.statuses else None for word in program.words.all]
    )

    def run() -> Result:
        found = _in_blocks(program, numbered)[provision.id]
        status = found.select(pl.lit(codes).gather(pl.col(STATUS).cast(pl.UInt32))).to_series()
        return {"status": status} | {
            name: found.get_column(value_column(name)) for name in workload.outputs if name != "status"
        }

    return run


def _in_blocks(program: Program, frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The table in blocks on two threads, in order, as a batch goes through it."""
    blocks = [frame.slice(start, BLOCK) for start in range(0, frame.height, BLOCK)]
    if isinstance(program.engine, PolarsEngine):
        with ThreadPoolExecutor(2) as pool:
            parts = [done for _, done in pool.map(program.run, blocks)]
    else:
        parts = [done for _, done in map(program.run, [frame])]
    return {name: pl.concat([one[name] for one in parts]) for name in parts[0]}


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.int_range(frame.height).alias(ROW), pl.lit(None, dtype=pl.String).alias(SUBJECT))


def _rewards(frame: pl.DataFrame, engine: str) -> Callable[[], Result]:
    pack = load_pack("chuxiong_2019")
    provision = pack.provision("construction.grade.promotion_reward")
    record = pack.dossiers["construction_firms"].records["promotion"]
    fields = {**record.fields, "registered": provision.facts["registered_in_prefecture"]}
    matter = Matter(
        provision.id,
        "promotion",
        {
            "registered_in_prefecture": FromField("promotion", "registered"),
            "first_promotion": FromField("promotion", "first_promotion"),
            "highest_promotion_this_year": FromField("promotion", "promotion"),
            "already_paid_this_year": Constant(0),
        },
        highest_of=(FromField("promotion", "year"),),
    )
    step = Step(provision, matter.inputs, None, matter)
    present = frozenset(("promotion", "year", "first_promotion", "registered"))
    program = Program([step], fields, present, Assessment(AS_OF, None), engine=engine_named(engine), counts=True)
    places = [program.words.places[word] for word in PROMOTIONS]
    stored = _numbered(frame).with_columns(
        pl.col("promotion").replace_strict(list(range(len(places))), places, return_dtype=pl.Int16),
        pl.col("firm").alias(CASE),
        pl.col("first").alias("first_promotion"),
    )

    def run() -> Result:
        done = _in_blocks(program, stored)
        found = highest_only(program.steps[0], stored, done[provision.id])
        return {"award": found.get_column(value_column("amount")), "paid": found.get_column(COUNTED)}

    return run
