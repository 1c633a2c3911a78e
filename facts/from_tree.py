"""YAML and JSON documents → flat cases, dossier cases and plain rows.

Three forms are accepted, each alone or in a list:

- `{provision: ID, inputs: {…}, as_of: DATE, case: LABEL}`: the facts of one provision;
- `{dossier: ID, firm: {…}, award: [{…}, …]}` or `{dossier: ID, cases: [{…}, …]}`: related facts;
- `{department: [{…}, …]}`, or a list of plain rows: a table, recognised by its names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import date

from engine.dataclass import dataclass
from engine.errors import Problem, nearest
from engine.model import Dossier, Field, Provision, Row
from engine.source import Location
from engine.types import Kind
from engine.values import Unreadable, Value, fold, read_date
from engine.yamltree import Mapping as Map
from engine.yamltree import Node, Scalar
from engine.yamltree import Sequence as Seq
from facts.cells import PLAIN, Context, Reader, reader_for
from facts.columns import Column, FieldNames, is_unit_for
from facts.expected import problem_for
from facts.headings import Target, forced_targets
from facts.joining import Group
from facts.tally import Draft, Tally

_FLAT_KEYS = ("provision", "inputs", "as_of", "case", "label", "expected", "why", "note")
_CASE_KEYS = ("dossier", "as_of", "case", "label", "cases", "expected", "why", "note")


@dataclass(frozen=True, slots=True)
class FlatCase:
    """The facts of one provision as they were submitted; unknown ones are None, absent ones are absent."""

    provision: str
    inputs: Mapping[str, Value | None]
    as_of: date | None
    label: str
    at: Location


@dataclass
class TreeFacts:
    """What one document held."""

    flat: list[FlatCase] = field(default_factory=list)
    drafts: list[tuple[Dossier, Draft]] = field(default_factory=list)
    groups: list[tuple[Dossier, Group]] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)
    as_of: list[tuple[date, Location]] = field(default_factory=list)


class TreeReader:
    """Reads one document; every problem goes to `problems`."""

    def __init__(
        self, name: str, dossiers: Mapping[str, Dossier], provision: Callable[[str], Provision | None],
        targets: Sequence[Target], record: str | None, problems: list[Problem],
    ) -> None:  # fmt: skip
        self.name, self.dossiers, self.provision, self.targets = name, dossiers, provision, targets
        self.record, self.problems = record, problems
        self.out = TreeFacts()
        self.tallies: dict[str, Tally] = {}
        self.readers: dict[tuple[str, str, str | None, bool], Reader] = {}
        self.names: dict[str, FieldNames] = {}

    def read(self, node: Node) -> TreeFacts:
        if isinstance(node, Scalar):
            self.shape(node, "文件内容", "the document", "对象或列表", "a mapping or a list")
            return self.out
        items = node.items if isinstance(node, Seq) else (node,)
        plain: list[Map] = []
        for item in items:
            if not isinstance(item, Map):
                self.shape(item, "列表中的一项", "an item of the list", "对象", "a mapping")
                self.reject_unknown(item)
            elif item.get("provision") is not None:
                self.flat(item)
            elif item.get("dossier") is not None:
                self.dossier(item)
            elif isinstance(node, Map) or any(isinstance(value, (Seq, Map)) for _, value in item):
                self.tables(item)
            else:
                plain.append(item)
        if plain:
            self.rows(plain, None)
        self.out.tallies = list(self.tallies.values())
        return self.out

    # Shapes and names

    def shape(self, node: Node, what_zh: str, what_en: str, expected_zh: str, expected_en: str) -> None:
        self.problems.append(Problem("facts-shape", node.at, {
            "what_zh": what_zh, "what_en": what_en,
            "expected_zh": expected_zh, "expected_en": expected_en}))  # fmt: skip

    def tally(self, target: Target | None) -> Tally:
        name = target.title if target is not None else ""
        return self.tallies.setdefault(name, Tally(self.name, None, target))

    def reject_unknown(self, node: Node) -> None:
        self.tally(None).reject("row")

    def text(self, node: Node | None) -> str:
        return node.text if isinstance(node, Scalar) and not node.is_null else ""

    def day(self, node: Node | None) -> date | None:
        if node is None or (isinstance(node, Scalar) and node.is_null):
            return None
        if isinstance(node, Scalar):
            try:
                return read_date(node.text, serials=False)
            except Unreadable:
                pass
        self.problems.append(Problem("bad-as-of", node.at, {"value": node.text if isinstance(node, Scalar) else "…"}))
        return None

    def dated(self, node: Map) -> None:
        if (day := self.day(node.get("as_of"))) is not None:
            self.out.as_of.append((day, node.at))

    # (a) the facts of one provision

    def flat(self, node: Map) -> None:
        before = len(self.problems)
        id_node, inputs = node.get("provision"), node.get("inputs")
        assert id_node is not None, "a flat case has a provision"
        provision = self.provision(self.text(id_node)) if self.text(id_node) else None
        if provision is None:
            self.problems.append(Problem("unknown-provision", id_node.at, {"id": self.text(id_node) or "…"}))
            self.reject_unknown(node)
            return
        if provision.id not in self.names:
            self.names[provision.id] = FieldNames(provision.facts)
        target = Target(self.names[provision.id], provision=provision)
        self.known_keys(node, _FLAT_KEYS, "条款案例", "a provision's case")
        as_of = self.day(node.get("as_of"))
        values: dict[str, Value | None] = {}
        if inputs is not None and not isinstance(inputs, Map):
            if not (isinstance(inputs, Scalar) and inputs.is_null):
                self.shape(inputs, "inputs", "`inputs`", "对象", "a mapping")
        elif inputs is not None:
            if "as_of" not in provision.facts and (day := inputs.get("as_of")) is not None:
                as_of = self.day(day) or as_of
                inputs = Map(tuple(entry for entry in inputs.entries if entry[0].text != "as_of"), inputs.at)
            values = self.values(inputs, target, strict=False, provision=provision.id)
        if any(problem.severity == "error" for problem in self.problems[before:]):
            self.tally(target).reject("cell")
            return
        self.tally(target).accept()
        label = self.text(node.get("case")) or self.text(node.get("label"))
        self.out.flat.append(FlatCase(provision.id, values, as_of, label, node.at))

    def known_keys(self, node: Map, keys: Sequence[str], where_zh: str, where_en: str) -> None:
        for key, _ in node:
            if key.text not in keys:
                self.problems.append(Problem("unknown-fact-key", key.at, {
                    "key": key.text, "where_zh": where_zh, "where_en": where_en, "known": list(keys),
                    "suggestion": nearest(key.text, keys)}))  # fmt: skip

    # (b) the related facts of a dossier

    def dossier(self, node: Map) -> None:
        id_node = node.get("dossier")
        assert id_node is not None, "a dossier case names its dossier"
        dossier = self.dossiers.get(self.text(id_node))
        if dossier is None:
            self.problems.append(Problem("unknown-dossier", id_node.at, {
                "id": self.text(id_node) or "…", "known": list(self.dossiers),
                "suggestion": nearest(self.text(id_node), self.dossiers)}))  # fmt: skip
            self.reject_unknown(node)
            return
        cases = node.get("cases")
        if cases is None:
            self.case(dossier, node)
            return
        self.dated(node)
        self.known_keys(node, _CASE_KEYS, "档案", "a dossier")
        if not isinstance(cases, Seq):
            self.shape(cases, "cases", "`cases`", "列表", "a list")
            self.reject_unknown(cases)
            return
        for item in cases.items:
            if isinstance(item, Map):
                self.case(dossier, item)
            else:
                self.shape(item, "cases 中的一项", "an item of `cases`", "对象", "a mapping")
                self.reject_unknown(item)

    def case(self, dossier: Dossier, node: Map) -> None:
        """One case: the subject as a mapping and its rows; with a list of subjects, rows join by key."""
        targets = {target.record.name: target for target in self.targets
                   if target.dossier is dossier and target.record is not None}  # fmt: skip
        subject: Draft | None = None
        related: list[Draft] = []
        several: list[Draft] = []
        self.dated(node)
        for key, value in node:
            if key.text in _CASE_KEYS:
                continue
            target = next((t for t in targets.values() if t.is_called(key.text)), None)
            if target is None:
                known = [f"{t.record.name}（{t.record.label.zh}）" for t in targets.values() if t.record is not None]
                self.problems.append(Problem("unknown-record-name", key.at, {
                    "name": key.text, "dossier": dossier.id, "known": known,
                    "suggestion": nearest(key.text, [s for t in targets.values() if t.record is not None
                                                     for s in (t.record.name, t.record.label.zh)])}))  # fmt: skip
                for _ in value.items if isinstance(value, Seq) else (value,):
                    self.reject_unknown(value)
                continue
            rows = self.mappings(value, target)
            drafts = [self.draft(row, target, strict=True) for row in rows]
            if target.record is not None and target.record.name == dossier.subject:
                if isinstance(value, Map):
                    subject = drafts[0]
                else:
                    several += drafts
            else:
                related += drafts
        if subject is None and len(several) == 1:
            subject, several = several[0], []
        if subject is None:
            if not several and not related:
                self.problems.append(Problem("case-without-subject", node.at, {
                    "record": dossier.records[dossier.subject].label.zh, "name": dossier.subject}))  # fmt: skip
                return
            self.out.drafts += [(dossier, draft) for draft in (*several, *related)]
            return
        self._give_key(dossier, subject, related)
        self.out.groups.append((dossier, Group(subject, related, nested=True)))
        self.out.drafts += [(dossier, draft) for draft in several]

    def _give_key(self, dossier: Dossier, subject: Draft, related: Sequence[Draft]) -> None:
        """Rows inside a case carry its key; one that names another subject is a problem."""
        key = dossier.records[dossier.subject].key
        if key is None:
            return
        name = subject.row.values.get(key)
        for draft in related:
            if key not in dossier.records[draft.row.record].fields:
                continue
            own = draft.row.values.get(key)
            if own is None:
                draft.row = Row(draft.row.record, {**draft.row.values, key: name}, draft.row.at)
            elif name is not None and fold(str(own)) != fold(str(name)):
                self.problems.append(Problem("other-subject", draft.row.at, {"key": str(own), "subject": str(name)}))
                draft.fault = draft.fault or "partner"

    def mappings(self, node: Node, target: Target) -> list[Map]:
        if isinstance(node, Map):
            return [node]
        if isinstance(node, Scalar) and node.is_null:
            return []
        if isinstance(node, Seq):
            rows = []
            for item in node.items:
                if isinstance(item, Map):
                    rows.append(item)
                else:
                    self.shape(item, f"{target.shown} 的一行", f"a row of {target.title}", "对象", "a mapping")
                    self.tally(target).reject("row")
            return rows
        self.shape(node, target.shown, target.title, "对象或列表", "a mapping or a list")
        self.tally(target).reject("row")
        return []

    # (c) plain rows

    def tables(self, node: Map) -> None:
        """Record names with lists of rows; a mapping of plain values is one row."""
        if not any(isinstance(value, (Seq, Map)) for _, value in node):
            self.rows([node], None)
            return
        for key, value in node:
            if key.text == "as_of":
                if (day := self.day(value)) is not None:
                    self.out.as_of.append((day, value.at))
                continue
            called = [target for target in self.targets if target.is_called(key.text)]
            items: Sequence[Node] = value.items if isinstance(value, Seq) else (value,)
            if not called:
                self.problems.append(Problem("unknown-record-name", key.at, {
                    "name": key.text, "dossier": "、".join(self.dossiers) or "—",
                    "known": [target.shown for target in self.targets][:20],
                    "suggestion": nearest(key.text, [s for t in self.targets if t.record is not None
                                                     for s in (t.record.name, t.record.label.zh)])}))  # fmt: skip
                for item in items:
                    self.reject_unknown(item)
                continue
            rows = [item for item in items if isinstance(item, Map)]
            for item in items:
                if not isinstance(item, Map):
                    self.shape(item, f"{key.text} 的一行", f"a row of `{key.text}`", "对象", "a mapping")
                    self.tally(called[0]).reject("row")
            self.rows(rows, called)

    def rows(self, rows: Sequence[Map], called: Sequence[Target] | None) -> None:
        """Rows whose record is known by name, or recognised by the names they hold."""
        if not rows:
            return
        targets = list(called if called is not None else self.targets)
        if self.record is not None:
            targets = forced_targets(self.targets, self.record) or targets
        scores: list[tuple[int, int, Target]] = []
        for target in targets:
            named = {match.field for row in rows[:50] for key, _ in row if (match := target.names.match((key.text,)))}
            scores.append((len(named), -len(target.names.fields), target))
        best = max((score for score, _, _ in scores), default=0)
        chosen = [target for score, _, target in scores if score == best]
        if best == 0 or len(chosen) > 1:
            self._undecided(rows, chosen if best else [])
            return
        target = chosen[0]
        for row in rows:
            draft = self.draft(row, target, strict=True)
            if target.key is not None and draft.fault is None and draft.row.values.get(target.key) is None:
                label = target.names.fields[target.key].label.zh if target.key in target.names.fields else target.key
                self.problems.append(Problem("key-missing", row.at, {"label": label, "record": target.shown}))
                draft.fault = "cell"
            assert target.dossier is not None, "plain rows become records of a dossier"
            self.out.drafts.append((target.dossier, draft))

    def _undecided(self, rows: Sequence[Map], chosen: Sequence[Target]) -> None:
        if chosen:
            self.problems.append(Problem("table-ambiguous", rows[0].at, {"candidates": [t.shown for t in chosen]}))
        else:
            key = rows[0].entries[0][0] if rows[0].entries else None
            close = next((c for t in self.targets if key is not None and (c := t.names.suggest(key.text))), None)
            self.problems.append(Problem("rows-unrecognised", rows[0].at, {
                "count": len(rows), "first": key.text if key is not None else "{}", "suggestion": close}))  # fmt: skip
        for row in rows:
            self.reject_unknown(row)

    # One row

    def draft(self, node: Map, target: Target, strict: bool) -> Draft:
        before = len(self.problems)
        values = self.values(node, target, strict)
        failed = any(problem.severity == "error" for problem in self.problems[before:])
        assert target.record is not None, "a draft belongs to a record"
        return Draft(Row(target.record.name, values, node.at), self.tally(target), "cell" if failed else None)

    def values(self, node: Map, target: Target, strict: bool, provision: str | None = None) -> dict[str, Value | None]:
        """The typed values of a mapping of facts; problems for names and values that cannot be read."""
        names, tally = target.names, self.tally(target)
        values: dict[str, Value | None] = {}
        written: dict[str, Scalar] = {}
        columns = {column.field for column in tally.columns}
        for key, value in node:
            match = names.match((key.text,))
            if match is None:
                if names.said((key.text,)).field != "":
                    self._unknown_name(key, target, provision)
                continue
            field_ = names.fields[match.field]
            if match.field in written:
                self.problems.append(Problem("same-fact-twice", key.at, {
                    "key": key.text, "first": written[match.field].text,
                    "first_at": str(written[match.field].at)}))  # fmt: skip
                continue
            written[match.field] = key
            if match.unit is not None and not is_unit_for(match.unit, field_):
                self.problems.append(Problem("unit-does-not-fit", key.at, {
                    "heading": key.text, "unit": match.unit, "label": field_.label.zh,
                    "label_en": field_.label.en or field_.name,
                    "type_zh": field_.type.zh, "type_en": str(field_.type)}))  # fmt: skip
                continue
            if match.field not in columns:
                columns.add(match.field)
                unit, said = match.unit or field_.unit, names.said((key.text,))
                tally.columns += (Column(len(tally.columns), "", key.text, match.field, unit,
                                         "heading" if match.unit else "field" if unit else "",
                                         said.field is not None, said.unit is not None),)  # fmt: skip
            if not isinstance(value, Scalar):
                self.shape(value, f"`{key.text}`", f"`{key.text}`", "单个值", "a single value")
                continue
            read = self.reader(target, field_, match.unit, strict)
            try:
                values[match.field] = read(None if value.is_null else value.text, None)
            except Unreadable as error:
                self.problems.append(problem_for(error, value.text, field_, value.at, match.unit))
        return values

    def _unknown_name(self, key: Scalar, target: Target, provision: str | None) -> None:
        suggestion = nearest(key.text, target.names.fields) or target.names.suggest(key.text)
        known = list(target.names.fields)
        if provision is not None:
            fields = {"provision": provision, "name": key.text, "known": known, "suggestion": suggestion}
            self.problems.append(Problem("unknown-fact", key.at, fields))
        else:
            fields = {"record": target.shown, "name": key.text, "known": known, "suggestion": suggestion}
            self.problems.append(Problem("unknown-field", key.at, fields))

    def reader(self, target: Target, field_: Field, unit: str | None, strict: bool) -> Reader:
        """Under a field's own contract a bare percentage is in its unit; in rows it may be in doubt."""
        key = (target.title, field_.name, unit, strict)
        if key not in self.readers:
            strict_here = strict and field_.type.kind is Kind.RATIO
            context = Context(unit, strict=strict_here) if unit is not None or strict_here else PLAIN
            self.readers[key] = reader_for(field_, context)
        return self.readers[key]
