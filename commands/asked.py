"""What the command line asks for at its beginning: the rule pack, and the day of assessment."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from engine.errors import Lang

if TYPE_CHECKING:
    from engine.load import Pack


def asked_pack(ctx: click.Context) -> Pack:
    """The pack of `--pack`. Errors (`PackError`): as `load_pack`."""
    from engine.load import load_pack

    return load_pack(ctx.obj["pack"])


def asked_day(lang: Lang, text: str | None) -> date:
    """The given day, or today, which is then printed: the only place that asks the machine for it.

    Errors (`FactError`): as `read_as_of`.
    """
    from engine.inputs import read_as_of

    found = read_as_of(text)
    if found is not None:
        return found
    today = date.today()
    click.echo(
        f"基准日未给出，取今天 {today}（用 --as-of 指定）"
        if lang == "zh"
        else f"no day of assessment given, taking today {today} (use --as-of)",
        err=True,
    )
    return today
