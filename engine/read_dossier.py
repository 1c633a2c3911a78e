"""Dossiers: YAML → `Dossier`, checked against the provisions that they feed.

```yaml
id: rewards
label: {zh: …, en: …}
subject: firm
records:
  firm: {zh: 企业, key: firm_name, fields: [firm_name, registered_in_prefecture]}
  award: {zh: 获奖, fields: [firm_name, {year: {type: integer, unit: 年, zh: 年度}}]}
matters:
- provision: example.method.reward
  each: award
  when: family == method
  inputs:
    already_paid_same_achievement: {sum: payment.amount, where: {matter: award.matter}}
  highest_of: [award.matter]
columns: [department.task_amount, fiscal.….rate]
```
An input that is not listed comes from the field of that name: of the row, else of the subject.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as MappingType

from engine.check import check
from engine.errors import PackError, Problem, nearest
from engine.expr import Expr
from engine.model import (
    Constant,
    Dossier,
    Field,
    FromAny,
    FromField,
    FromOutcome,
    FromSum,
    Matter,
    Provision,
    RecordType,
    Source,
    Text,
)  # fmt: skip
from engine.read_fields import check_asked_when, field_scope, read_field, read_typed
from engine.reader import Reader
from engine.types import BOOLEAN, Kind
from engine.values import Value
from engine.yamltree import Mapping, Node, Scalar

KEYS = ("id", "label", "subject", "records", "matters", "columns", "total")
RECORD_KEYS = ("zh", "en", "key", "fields", "derived", "aliases")
MATTER_KEYS = ("provision", "each", "when", "inputs", "highest_of", "replaces")


def read_dossier(
    node: Node, fields: MappingType[str, Field], provision: Callable[[str], Provision | None], problems: list[Problem]
) -> Dossier | None:
    """The dossier, or None where it is too broken; every fault is added to `problems`."""
    if not isinstance(node, Mapping):
        Reader(Mapping((), node.at), "a dossier", problems).shape(node, "键值表", "a mapping")
        return None
    return _DossierReader(node, fields, provision, problems).read()


class _DossierReader:
    def __init__(
        self,
        node: Mapping,
        fields: MappingType[str, Field],
        provision: Callable[[str], Provision | None],
        problems: list[Problem],
    ) -> None:
        self.fields, self.provision, self.problems = fields, provision, problems
        self.reader = Reader(node, "a dossier", problems, KEYS)

    def read(self) -> Dossier | None:
        reader = self.reader
        for key in ("id", "subject", "records", "matters"):
            reader.need(key)
        self.records = {key.text: self._record(key, value) for key, value in reader.mapping("records")}
        self.subject = reader.text("subject")
        if self.subject not in self.records:
            reader.report("unknown-record", reader.at("subject"), name=self.subject, known=sorted(self.records))
            return None
        matters = [matter for item in reader.items("matters") if (matter := self._matter(item))]
        columns = [column for item in reader.items("columns") if (column := self._column(item))]
        return Dossier(
            reader.text("id"),
            reader.words("label", reader.text("id")),
            self.subject,
            self.records,
            tuple(matters),
            tuple(columns),
            reader.words("total") if reader.has("total") else None,
            reader.node.at,
        )

    def _record(self, key: Scalar, node: Node) -> RecordType:
        name = key.text
        if not isinstance(node, Mapping):
            self.reader.shape(node, "键值表", "a mapping")
            return RecordType(name, Text(name), {}, at=node.at)
        reader = Reader(node, f"record {name}", self.problems, RECORD_KEYS)
        fields: dict[str, Field] = {}
        for item in reader.items("fields"):
            if isinstance(item, Mapping):
                fields.update((entry.text, read_field(entry.text, value, self.problems)) for entry, value in item)
            elif isinstance(item, Scalar) and item.text in self.fields:
                fields[item.text] = self.fields[item.text]
            else:
                text = reader.scalar(item)
                reader.report(
                    "unknown-name",
                    item.at,
                    name=text,
                    known=sorted(self.fields)[:20],
                    suggestion=nearest(text, self.fields) or "",
                )
        fields = check_asked_when(fields, self.problems)
        key_field = reader.text("key") or None
        if key_field is not None and key_field not in fields:
            reader.report("unknown-name", reader.at("key"), name=key_field, known=sorted(fields))
        derived: dict[str, Expr] = {}
        for entry, value in reader.mapping("derived"):
            if entry.text not in fields:
                reader.report("unknown-name", entry.at, name=entry.text, known=sorted(fields))
            else:
                derived[entry.text] = self._expression(reader, value, fields, fields[entry.text])
        return RecordType(
            name,
            Text(reader.text("zh", name), reader.text("en", name.replace("_", " "))),
            fields,
            key_field,
            derived,
            reader.texts("aliases"),
            node.at,
        )

    def _expression(self, reader: Reader, node: Node, fields: MappingType[str, Field], wanted: Field | None) -> Expr:
        expr = reader.expression(node)
        try:
            return check(expr, field_scope(fields), wanted.type if wanted else BOOLEAN, reader.where)
        except PackError as error:
            self.problems.extend(error.problems)
            return expr

    def _matter(self, node: Node) -> Matter | None:
        if not isinstance(node, Mapping):
            self.reader.shape(node, "{provision, …}", "{provision, …}")
            return None
        reader = Reader(node, "a matter", self.problems, MATTER_KEYS)
        identity = reader.text("provision")
        provision = self.provision(identity)
        each = reader.text("each", self.subject)
        if provision is None:
            reader.report("unknown-provision", reader.at("provision"), id=identity)
            return None
        if each not in self.records:
            reader.report("unknown-record", reader.at("each"), name=each, known=sorted(self.records))
            return None
        reader.where = f"matter {identity}"
        inputs: dict[str, Source] = {}
        given = dict(reader.mapping("inputs"))
        for key in given:
            if key.text not in provision.facts:
                reader.report(
                    "unknown-name",
                    key.at,
                    name=key.text,
                    known=sorted(provision.facts),
                    suggestion=nearest(key.text, provision.facts) or "",
                )
        by_name = {key.text: value for key, value in given.items()}
        for name, field in provision.facts.items():
            source = (
                self._source(reader, by_name[name], field)
                if name in by_name
                else self._same_name(reader, name, each, field)
            )
            if source is not None:
                inputs[name] = source
        when = None
        if reader.has("when"):
            when = self._expression(reader, node.get("when"), self.records[each].fields, None)  # type: ignore[arg-type]
        highest = None
        if reader.has("highest_of"):
            highest = tuple(
                source
                for item in reader.items("highest_of")
                if isinstance(source := self._path(reader, item), FromField)
            )
        return Matter(identity, each, inputs, when, highest, reader.texts("replaces"), node.at)

    def _same_name(self, reader: Reader, name: str, each: str, field: Field) -> Source | None:
        for record in (each, self.subject):
            if name in self.records[record].fields:
                return self._fitting(reader, FromField(record, name), field)
        return None

    def _path(self, reader: Reader, node: Node | None) -> FromField | None:
        """`record.field`; None where the key is absent, which was reported already."""
        if node is None:
            return None
        text = reader.scalar(node)
        record, _, name = text.partition(".")
        if record in self.records and name in self.records[record].fields:
            return FromField(record, name)
        known = [f"{record}.{name}" for record, of in self.records.items() for name in of.fields]
        reader.report("unknown-name", node.at, name=text, known=known[:20], suggestion=nearest(text, known) or "")
        return None

    def _source(self, reader: Reader, node: Node, field: Field) -> Source | None:
        if isinstance(node, Scalar):
            if "." in node.text and node.text.partition(".")[0] in self.records:
                path = self._path(reader, node)
                return None if path is None else self._fitting(reader, path, field)
            value = read_typed(reader, "inputs", node.text, field.type, field.unit, field.spellings())
            return None if value is None else Constant(value)
        if not isinstance(node, Mapping):
            reader.shape(node, "来源", "a source")
            return None
        inner = Reader(
            node, reader.where, self.problems, ("sum", "any", "where", "outcome", "value", "field", "otherwise")
        )
        otherwise: Value | None = None
        if inner.has("otherwise"):
            otherwise = read_typed(
                inner, "otherwise", inner.text("otherwise"), field.type, field.unit, field.spellings()
            )
        if inner.has("outcome"):
            return FromOutcome(inner.text("outcome"), inner.text("value", "amount"), otherwise)
        if inner.has("field"):
            path = self._path(inner, inner.need("field"))
            return None if path is None else self._fitting(inner, path, field, otherwise)
        if inner.has("any"):
            record = inner.text("any")
            if record not in self.records:
                inner.report("unknown-record", inner.at("any"), name=record, known=sorted(self.records))
                return None
            return FromAny(record, self._where(inner, record))
        path = self._path(inner, inner.need("sum"))
        return None if path is None else FromSum(path.record, path.field, self._where(inner, path.record))

    def _fitting(self, reader: Reader, path: FromField, field: Field, otherwise: Value | None = None) -> FromField:
        """The source checked against the provision's fact: same kind of value, no choice it does not know."""
        source = self.records[path.record].fields[path.field]
        if source.type.kind is not field.type.kind:
            reader.report(
                "wrong-type",
                reader.node.at,
                what=f"{path.record}.{path.field}",
                expected=str(field.type),
                found=str(source.type),
                hint="",
            )
        extra = set(source.type.values or ()) - set(field.type.values or ())
        if not extra or field.type.kind is not Kind.ENUM:
            return path
        if otherwise is None:
            reader.report(
                "unknown-enum-value",
                reader.node.at,
                value=", ".join(sorted(extra)),
                known=list(field.type.values or ()),
                suggestion="",
            )
        return FromField(path.record, path.field, frozenset(field.type.values or ()), otherwise)

    def _where(self, reader: Reader, record: str) -> tuple[tuple[str, FromField | Value], ...]:
        found: list[tuple[str, FromField | Value]] = []
        for key, value in reader.mapping("where"):
            target = self.records[record].fields.get(key.text)
            if target is None:
                reader.report("unknown-name", key.at, name=key.text, known=sorted(self.records[record].fields))
                continue
            text = reader.scalar(value)
            if "." in text and text.partition(".")[0] in self.records:
                source = self._path(reader, value)
                if source is not None:
                    found.append((key.text, source))
            else:
                constant = read_typed(reader, "where", text, target.type, target.unit, target.spellings())
                if constant is not None:
                    found.append((key.text, constant))
        return tuple(found)

    def _column(self, node: Node) -> FromField | FromOutcome | None:
        text = self.reader.scalar(node)
        if text.partition(".")[0] in self.records:
            return self._path(self.reader, node)
        identity, _, output = text.rpartition(".")
        provision = self.provision(identity)
        if provision is None:
            self.reader.report("unknown-provision", node.at, id=identity)
            return None
        return FromOutcome(identity, output)
