"""Hegui over the workloads: typed columns in, result columns out, on each of its engines."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from benchmarks.workloads import AS_OF, PROMOTIONS, Workload
from engine.batch import CASE, COUNTED, ROW, SUBJECT, Assessment, Program, Step
from engine.evaluate.naming import STATUS, value_column
from engine.evaluate.sql_run import engine_named
from engine.exclusivity import highest_only
from engine.load import load_pack
from engine.model import Constant, FromField, Matter

Result = dict[str, pl.Series]


def prepare(workload: Workload, frame: pl.DataFrame, engine: str, alone: bool = False) -> Callable[[], Result]:
    """A function that evaluates the whole table; plans are made once, as a batch makes them.

    `alone`: each row's own outcome only, as peers are asked for: without missing facts and the highest of a firm.
    """
    pack = load_pack("chuxiong_2019")
    provision = pack.provision(workload.provision)
    assessment = Assessment(AS_OF, None)
    if workload.name == "rewards":
        return _rewards(frame, engine, alone)
    present = frozenset(frame.columns)
    steps = [Step(provision, {name: FromField("", name) for name in provision.facts if name in present})]
    program = Program(
        steps, provision.facts, present, assessment, engine=engine_named(engine), vocabulary=workload.statuses
    )
    numbered = _numbered(frame)

    def run() -> Result:
        found = _outcomes(program, numbered) if alone else program.run(numbered)[1][provision.id]
        return {"status": found.get_column(STATUS)} | {
            name: found.get_column(value_column(name)) for name in workload.outputs if name != "status"
        }

    return run


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.int_range(frame.height).alias(ROW), pl.lit(None, dtype=pl.String).alias(SUBJECT))


def _outcomes(program: Program, rows: pl.DataFrame) -> pl.DataFrame:
    """What the one step of a program comes to in each row."""
    step = program.steps[0]
    return program.ready(step.plan).outcomes(program.inputs(step, rows, {}))


def _rewards(frame: pl.DataFrame, engine: str, alone: bool) -> Callable[[], Result]:
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
    program = Program([step], fields, present, Assessment(AS_OF, None), engine=engine_named(engine), counts=not alone)
    places = [program.words.places[word] for word in PROMOTIONS]
    stored = _numbered(frame).with_columns(
        pl.col("promotion").replace_strict(list(range(len(places))), places, return_dtype=pl.Int16),
        pl.col("firm").alias(CASE),
        pl.col("first").alias("first_promotion"),
    )

    def run() -> Result:
        if alone:
            return {"award": _outcomes(program, stored).get_column(value_column("amount"))}
        _, done = program.run(stored)
        found = highest_only(program.steps[0], stored, done[provision.id])
        return {"award": found.get_column(value_column("amount")), "paid": found.get_column(COUNTED)}

    return run
