"""Rows of one dossier → cases: related rows join their subject by key, and nothing is guessed.

A case is used whole or not at all: an award that cannot be read would leave a total too low, so
its firm is not assessed until the row is put right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from itertools import islice

from engine.dataclass import dataclass
from engine.errors import Problem, nearest
from engine.model import Case, Dossier
from engine.values import fold
from facts.tally import Draft

MAX_SUGGESTED = 20
MAX_NAMES = 2_000


@dataclass
class Group:
    """A subject with its related rows; `nested` where the document itself puts them together."""

    subject: Draft
    related: list[Draft] = field(default_factory=list)
    nested: bool = False


def join(dossier: Dossier, drafts: Sequence[Draft], nested: Sequence[Group], problems: list[Problem]) -> list[Case]:
    """The cases of a dossier, in the order of their subjects; every draft is counted in its table.

    Errors: `duplicate-subject`, `no-such-subject`, `no-subject-table`, `subject-rejected`, `case-incomplete`.
    """
    subject_name = dossier.subject
    key = dossier.records[subject_name].key
    groups = [Group(draft) for draft in drafts if draft.row.record == subject_name]
    related = [draft for draft in drafts if draft.row.record != subject_name]
    index = _index(dossier, groups, nested, key, problems)
    _attach(dossier, related, index, bool(groups), key, problems)
    cases: list[Case] = []
    for group in [*groups, *nested]:
        _settle(dossier, group, key, problems)
        if group.subject.fault is None:
            cases.append(Case(dossier.id, group.subject.row, tuple(draft.row for draft in group.related)))
    for draft in [draft for group in nested for draft in (group.subject, *group.related)] + list(drafts):
        if draft.fault is None:
            draft.tally.accept()
        else:
            draft.tally.reject(draft.fault)
    return cases


def _key_of(draft: Draft, key: str | None) -> str | None:
    value = draft.row.values.get(key) if key is not None else None
    return None if value is None else fold(str(value))


def _index(
    dossier: Dossier, groups: Sequence[Group], nested: Sequence[Group], key: str | None, problems: list[Problem]
) -> dict[str, Group]:
    """Subjects by key. Of two rows that say the same the second is refused; where they differ, both are."""
    index: dict[str, Group] = {}
    for group in groups:
        name = _key_of(group.subject, key)
        if name is None:
            continue
        first = index.setdefault(name, group)
        if first is group:
            continue
        same = first.subject.row.values == group.subject.row.values
        problems.append(_duplicate(dossier, group.subject, first.subject, key, same))
        group.subject.fault = group.subject.fault or "duplicate"
        if not same and first.subject.fault is None:
            problems.append(_duplicate(dossier, first.subject, group.subject, key, same))
            first.subject.fault = "duplicate"
    seen: dict[str, Group] = dict(index)
    for group in nested:
        name = _key_of(group.subject, key)
        if name is not None and seen.setdefault(name, group) is not group:
            problem = _duplicate(dossier, group.subject, seen[name].subject, key, same=True)
            problems.append(Problem("subject-again", problem.location, problem.fields, "warning"))
    return index


def _duplicate(dossier: Dossier, draft: Draft, other: Draft, key: str | None, same: bool) -> Problem:
    record = dossier.records[dossier.subject]
    code = "duplicate-subject" if same else "conflicting-subject"
    return Problem(code, draft.row.at, {
        "key": str(draft.row.values.get(key or "")), "record": record.label.zh,
        "record_en": record.label.en or record.name, "first_at": str(other.row.at)})  # fmt: skip


def _attach(
    dossier: Dossier, related: Sequence[Draft], index: dict[str, Group], any_subject: bool, key: str | None,
    problems: list[Problem],
) -> None:  # fmt: skip
    subject = dossier.records[dossier.subject]
    reported: set[int] = set()
    suggested = 0
    for draft in related:
        name = _key_of(draft, key)
        group = index.get(name) if name is not None else None
        if group is not None:
            group.related.append(draft)
            continue
        if draft.fault is not None:
            continue
        draft.fault = "partner"
        fields = {
            "key": str(draft.row.values.get(key or "", "")), "record": subject.label.zh,
            "record_en": subject.label.en or subject.name,
        }  # fmt: skip
        if not any_subject:
            if id(draft.tally) not in reported:
                reported.add(id(draft.tally))
                problems.append(Problem("no-subject-table", draft.row.at, fields))
            continue
        if suggested < MAX_SUGGESTED and key is not None:  # comparing with every name takes its time
            suggested += 1
            names = [str(one.subject.row.values[key]) for one in islice(index.values(), MAX_NAMES)]
            fields["suggestion"] = nearest(fields["key"], names) or ""
        problems.append(Problem("no-such-subject", draft.row.at, fields))


def _settle(dossier: Dossier, group: Group, key: str | None, problems: list[Problem]) -> None:
    """A case stands only where each of its rows does."""
    subject = group.subject
    shown = str(subject.row.values.get(key or "", "") or "")
    if subject.fault is not None:
        for draft in group.related:
            if draft.fault is None:
                draft.fault = "fellow"
                problems.append(Problem("subject-rejected", draft.row.at, {
                    "key": shown, "subject_at": str(subject.row.at)}))  # fmt: skip
        return
    faulty = [draft for draft in group.related if draft.fault is not None]
    if faulty:
        problems.append(Problem("case-incomplete", subject.row.at, {
            "key": shown, "count": len(faulty), "places": [str(draft.row.at) for draft in faulty[:5]]}))  # fmt: skip
        for draft in (subject, *group.related):
            draft.fault = draft.fault or "fellow"
