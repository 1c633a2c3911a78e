"""Columns mapped by hand: dossiers whose fields go by other headings, for reading one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from engine.model import Dossier, Field, RecordType, Text
from engine.values import fold
from facts.columns import read_heading


def with_mapping(dossiers: Mapping[str, Dossier], mapping: Mapping[str, Mapping[str, str]]) -> dict[str, Dossier]:
    """The dossiers with headings given to other fields, for reading only; `""` leaves a column out.

    `mapping` is by `dossier.record`: `{heading: field}`.
    """
    found = dict(dossiers)
    for title, pairs in mapping.items():
        name, _, record_name = title.rpartition(".")
        dossier = found.get(name)
        if dossier is None or record_name not in dossier.records:
            continue
        record = _with_headings(dossier.records[record_name], pairs)
        found[name] = replace(dossier, records={**dossier.records, record_name: record})
    return found


def _with_headings(record: RecordType, pairs: Mapping[str, str]) -> RecordType:
    fields = dict(record.fields)
    for heading, wanted in pairs.items():
        for name, of in fields.items():
            if name != wanted:
                fields[name] = _without(of, heading)
        if wanted in fields:
            fields[wanted] = replace(fields[wanted], aliases=(*fields[wanted].aliases, heading))
    return replace(record, fields=fields)


def _without(of: Field, heading: str) -> Field:
    """The field no longer found under a heading; a label is set apart by a dot no heading ends with."""
    taken = {fold(heading), *read_heading(heading).names}

    def kept(text: str) -> bool:
        return fold(text) not in taken and not taken.intersection(read_heading(text).names)

    label = Text(
        of.label.zh if kept(of.label.zh) else of.label.zh + "·",
        of.label.en if not of.label.en or kept(of.label.en) else of.label.en + "·",
    )
    return replace(of, label=label, aliases=tuple(filter(kept, of.aliases)))
