"""A ledger of duties done, handed in as a batch: its lines, and what became of each duty of the year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from engine.audit_data import from_plain, to_plain
from engine.duties import LATE, DutyList, Entry, list_duties
from engine.errors import HeguiError, Lang, Problem
from engine.load import Pack
from engine.model import Dossier
from engine.report import Table
from engine.schedule import ledger_facts, load_schedule
from engine.source import Location
from facts.from_ledger import ledger_dossier, read_ledger
from facts.reading import Submission

RECORD = "ledger"
"""What a ledger's rows are called where that is to be said."""


def ledger_of(pack: Pack) -> Dossier:
    """The shape of the policy's ledger."""
    return ledger_dossier(ledger_facts(pack))


@dataclass(frozen=True)
class Ledger:
    """A ledger, held against the duties of the year of the day of judgement."""

    entries: Sequence[Entry]
    submission: Submission
    duties: DutyList

    @property
    def problems(self) -> list[Problem]:
        return [*self.submission.problems, *self.duties.problems]

    def tables(self, pack: Pack, lang: Lang) -> list[Table]:
        from engine.duty_report import duty_table

        return [replace(duty_table(pack, self.duties, lang), title="履职情况" if lang == "zh" else "duties")]

    def summary(self) -> dict[str, Any]:
        """What replaces the parts of a batch's summary that are about facts."""
        statuses = [line.status for line in self.duties.lines]
        year = self.duties.start.year
        return {
            "tables": [],
            "agenda": {"zh": f"按履职台账核对{year}年的到期事项", "en": f"read as a ledger; the duties of {year}"},
            "outcomes": len(statuses),
            "adverse": sum(status in LATE for status in statuses),
            "undetermined": statuses.count("undetermined"),
            "ledger": [_written(entry) for entry in self.entries],
        }


def read_duties(pack: Pack, source: Path, as_of: date) -> Ledger | None:
    """The lines of a ledger and what they say of the year's duties; None where the file is no ledger."""
    pack.load_all()
    entries, submission = read_ledger([source], ledger_facts(pack))
    if not entries:
        return None
    start, end = date(as_of.year, 1, 1), date(as_of.year, 12, 31)
    try:
        duties = list_duties(pack, load_schedule(pack), start, end, as_of, entries)
    except HeguiError as error:  # a year without a published calendar
        duties = DutyList(start, end, as_of, (), (), tuple(error.problems), True)
    return Ledger(entries, submission, duties)


def _written(entry: Entry) -> dict[str, Any]:
    return {
        "matter": entry.matter,
        "occasion": entry.occasion,
        "body": entry.body,
        "about": entry.about,
        "triggered_on": entry.triggered_on.isoformat() if entry.triggered_on else None,
        "done": entry.done,
        "done_on": entry.done_on.isoformat() if entry.done_on else None,
        "facts": {name: to_plain(value) for name, value in entry.facts.items() if value is not None},
        "sheet": entry.at.sheet,
        "cell": entry.at.cell,
        "line": entry.at.line,
    }


def entries_of(written: Sequence[Mapping[str, Any]], file: str) -> list[Entry]:
    """The lines of a ledger as a batch's summary keeps them."""
    return [
        Entry(
            line["matter"],
            line["occasion"],
            line["body"],
            line["about"],
            _day(line["triggered_on"]),
            line["done"],
            _day(line["done_on"]),
            {name: from_plain(value) for name, value in line["facts"].items()},
            Location(file, line=line["line"], sheet=line["sheet"], cell=line["cell"]),
        )
        for line in written
    ]


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
