"""Columns corrected by hand: what a person may say of them, and whether it fits the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from engine.load import Pack
from engine.model import Field, Text
from facts.columns import Given, units_for
from facts.headings import GivenTables
from web.problems import ApiProblem, Fault, escaped

UNIT_LABELS = {"1": Text("小数（0.85）", "fraction (0.85)")}
"""Units whose name says too little."""


def unit_label(unit: str, lang: str) -> str:
    return UNIT_LABELS[unit].get(lang) if unit in UNIT_LABELS else unit


def as_data(mapping: GivenTables) -> dict[str, dict[str, dict[str, str | None]]]:
    """What was said of columns as plain data, for the job of a worker."""
    return {title: {heading: asdict(said) for heading, said in pairs.items()} for title, pairs in mapping.items()}


def from_data(data: Mapping[str, Mapping[str, Mapping[str, str | None]]]) -> dict[str, dict[str, Given]]:
    return {title: {heading: Given(**said) for heading, said in pairs.items()} for title, pairs in data.items()}


def title_of(table: Mapping[str, Any]) -> str:
    """What a table's columns are kept under: `dossier.record`, or a provision's id; empty where it is neither."""
    return f"{table['dossier']}.{table['record']}" if table["dossier"] else table["provision"] or ""


def fields_of(pack: Pack, title: str) -> dict[str, Field] | None:
    """The fields that columns of a table with this title may be; None where there is no such title."""
    dossier, _, record = title.rpartition(".")
    if dossier in pack.dossiers and record in pack.dossiers[dossier].records:
        return dict(pack.dossiers[dossier].records[record].fields)
    provision = pack.find(title)
    return dict(provision.facts) if provision is not None else None


def keyed(columns: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A table's columns by what they are kept under: the heading, and from the second of the same on its number."""
    counts: Counter[str] = Counter()
    for column in columns:
        counts[column["heading"]] += 1
        number = counts[column["heading"]]
        yield column["heading"] if number == 1 else f"{column['heading']}#{number}", column


def check_mapping(pack: Pack, mapping: GivenTables, tables: Sequence[Mapping[str, Any]]) -> None:
    """Whether tables, columns, fields and units fit; `tables` are those of the batch's last summary.

    Errors (`ApiProblem`): `invalid-request`, each fault naming its column.
    """
    columns: dict[str, dict[str, Mapping[str, Any]]] = {}
    for table in tables:
        columns.setdefault(title_of(table), {}).update(keyed(table["columns"]))
    faults: list[Fault] = []
    for title, pairs in mapping.items():
        fields = fields_of(pack, title)
        if fields is None:
            known = "、".join(name for name in columns if name) or "—"
            zh, en = f"没有“{title}”这种表；本文件有：{known}", f"no such table {title}; in this file: {known}"
            faults.append(_fault(f"/columns/{escaped(title)}", "unknown-table", zh, en))
            continue
        for heading, said in pairs.items():
            column = columns.get(title, {}).get(heading)
            if title in columns and column is None:
                known = "、".join(columns[title])
                faults.append(
                    _fault(
                        f"/columns/{escaped(title)}/{escaped(heading)}",
                        "unknown-column",
                        f"没有表头是“{heading}”的列；有：{known}",
                        f"no column is headed {heading}; there are: {known}",
                    )
                )
            else:
                faults += _faults(title, heading, said, fields, column)
    if faults:
        raise ApiProblem(
            "invalid-request",
            Text("；".join(one.zh for one in faults[:3]), "; ".join(one.en for one in faults[:3])),
            faults,
        )


def _faults(
    title: str, heading: str, said: Given, fields: Mapping[str, Field], column: Mapping[str, Any] | None
) -> Iterator[Fault]:
    """What is wrong with what was said of one column."""
    pointer = f"/columns/{escaped(title)}/{escaped(heading)}"
    if said.field and said.field not in fields:
        known = "、".join(fields)
        yield _fault(
            f"{pointer}/field",
            "unknown-field",
            f"列“{heading}”：没有项目“{said.field}”；有：{known}",
            f"column {heading}: no field {said.field}; known: {known}",
        )
        return
    if said.unit is None or said.field == "":
        return
    name = said.field if said.field is not None else column["field"] if column is not None else None
    of = fields.get(name or "")
    possible = list(dict.fromkeys(unit for one in ([of] if of else fields.values()) for unit in units_for(one)))
    if said.unit in possible:
        return
    shown = "、".join(possible) or "—"
    label = of.label if of is not None else Text(heading, heading)
    yield _fault(
        f"{pointer}/unit",
        "unknown-unit",
        f"列“{heading}”不能以“{said.unit}”为单位；{label.zh}可用：{shown}",
        f"column {heading} cannot be in {said.unit}; {label.get('en')} can be in: {shown}",
    )


def _fault(pointer: str, code: str, zh: str, en: str) -> Fault:
    return Fault(pointer=pointer, code=code, zh=zh, en=en)
