"""Every place where a pack's text admits several readings: the one chosen, why, and the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.errors import Lang
from engine.load import Pack
from engine.model import Provision, Reading, Text
from engine.report import Table


def declared_readings(pack: Pack, prefix: str = "") -> Iterator[tuple[Provision, Reading]]:
    """The readings of provisions whose id begins so, in the order of the files."""
    for identity, provision in pack.provisions.items():
        if identity.startswith(prefix):
            for reading in provision.readings:
                yield provision, reading


def readings_table(pack: Pack, lang: Lang, prefix: str = "") -> Table:
    """One line a reading; other readings that are computed are marked with the option that chooses them."""
    zh = lang == "zh"
    headers = (
        ("条款号", "条款", "读法", "疑点", "本包所取", "理由", "其他读法")
        if zh
        else ("id", "provision", "reading", "point", "chosen", "reason", "other readings")
    )
    rows = []
    computed = 0
    for provision, reading in declared_readings(pack, prefix):
        others = []
        for number, other in enumerate(reading.alternatives, 2):
            computed += other.variant is not None
            mark = f"[{reading.id}={number}] " if other.variant is not None else ""
            others.append(mark + other.text.get(lang))
        rows.append(
            (
                provision.id,
                provision.label.get(lang),
                reading.id,
                reading.point.get(lang),
                reading.chosen.get(lang),
                reading.why.get(lang),
                ("；" if zh else "; ").join(others),
            )
        )
    provisions = len({row[0] for row in rows})
    note = (
        f"{provisions} 条条款，{len(rows)} 处读法，{computed} 个其他读法可以计算（check --reading 条款号:读法=序号）"
        if zh
        else f"{provisions} provisions, {len(rows)} readings, {computed} others are computed "
        "(check --reading PROVISION:READING=N)"
    )
    return Table("", headers, tuple(rows), notes=(note,))


def readings_data(pack: Pack, prefix: str = "") -> list[dict[str, Any]]:
    """The readings as plain data."""

    def words(text: Text) -> dict[str, str]:
        return {"zh": text.zh, "en": text.en}

    return [
        {
            "provision": provision.id,
            "clause": str(provision.citation),
            "reading": reading.id,
            "point": words(reading.point),
            "chosen": words(reading.chosen),
            "why": words(reading.why),
            "others": [
                {"number": number, "text": words(other.text), "computed": other.variant is not None}
                for number, other in enumerate(reading.alternatives, 2)
            ],
        }
        for provision, reading in declared_readings(pack, prefix)
    ]
