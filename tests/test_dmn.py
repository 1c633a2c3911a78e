"""The DMN Technology Compatibility Kit's own cases, as far as they lie inside the rule language.

The kit is not part of this repository. Name a copy of it (the folder that holds `TestCases`) in the
environment variable HEGUI_DMN_TCK; its decision tables and expressions are then read, translated and
run. What cannot be said in the rule language is counted by reason and left out: contexts, lists,
durations, functions of FEEL that a policy does not need, tables that have gaps.
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from differential import Refused, Verdict, installed, reference
from engine.errors import PackError
from engine.values import Value
from strategies import load_provision

KIT = os.environ.get("HEGUI_DMN_TCK", "")
pytestmark = pytest.mark.skipif(not KIT, reason="HEGUI_DMN_TCK names no copy of the DMN TCK: nothing was run")

NO_ROW = "∅"


DIFFERENT = {
    "0032-conditionals 003": "an `if` whose condition is null takes the else side in FEEL; here it stays open",
    "0068-feel-equality null_001": "null equals null in FEEL; here nothing is known of what is unknown",
    "0068-feel-equality null_002": "likewise",
    "0068-feel-equality number_006": "likewise",
    "0082-feel-coercion": "a result of another type than declared is null in FEEL; the kit's declared types are not read",
    "0100-arithmetic error_when_add_lhs_date_to_rhs_number": "a date plus a number counts days here",
    "0100-arithmetic error_when_subtract_lhs_date_minus_rhs_number": "likewise",
    "1143-feel-round-half-up-function 017_a": "6,176 decimal places, which no rule asks for",
}
"""Cases whose answer differs on purpose, by the beginning of their names, with the reason."""


class Outside(Exception):
    """What the rule language does not have; the reason is counted."""


@dataclass(frozen=True)
class TckCase:
    """One decision of one test case: a provision whose output `result` must come to `expected`."""

    name: str
    data: dict[str, Any]
    values: dict[str, Value | None]
    expected: dict[str, Value | None]
    sentinel: bool = False


@dataclass
class Kit:
    """What was read of the kit."""

    cases: list[TckCase] = field(default_factory=list)
    outside: Counter[str] = field(default_factory=Counter)


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]


def _child(node: ET.Element, name: str) -> ET.Element | None:
    return next((child for child in node if _plain(child.tag) == name), None)


def _children(node: ET.Element, name: str) -> list[ET.Element]:
    return [child for child in node if _plain(child.tag) == name]


def _text(node: ET.Element | None) -> str:
    found = _child(node, "text") if node is not None else None
    return (found.text or "").strip() if found is not None else ""


def identifier(name: str) -> str:
    """A FEEL name as one of ours."""
    found = re.sub(r"\W+", "_", name.strip())
    return found if found[:1].isalpha() else f"n_{found}"


# FEEL → the rule language

_REFUSED = re.compile(
    r"\*\*|\{|\bfor\b|\bsome\b|\bevery\b|\breturn\b|\bfunction\b|\binstance\b|duration|\btime\b|@\"P|\bnot\("
)


def feel(text: str, names: dict[str, str]) -> str:
    """An expression. Errors: `Outside`."""
    text = re.sub(r"//.*|/\*.*?\*/", "", text, flags=re.DOTALL).strip()
    if _REFUSED.search(text):
        raise Outside("a form of FEEL that rules do not have")
    for name, own in sorted(names.items(), key=lambda pair: -len(pair[0])):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", own, text)
    text = re.sub(r'(?:@|date\()"(\d{4}-\d{2}-\d{2})"\)?', r"\1", text)
    text = re.sub(r"(?<![<>!=])=(?!=)", "==", text)
    text = re.sub(r"\bnull\b", "nothing", text)
    text = re.sub(r"\bround half up\(", "round_half_up(", text)
    match = re.fullmatch(r"if (.*) then (.*) else (.*)", text, re.DOTALL)
    if match:
        text = f"({match[2]}) if ({match[1]}) else ({match[3]})"
    text = re.sub(r"^(.+?) between (.+?) and (.+)$", r"(\2) <= (\1) <= (\3)", text)
    return re.sub(r"(?<![\w.])\.(\d)", r"0.\1", text)


def unary_test(text: str, names: dict[str, str]) -> str:
    """A cell of a table."""
    if "?" in text:
        raise Outside("a test that names its own input")
    text = text.replace('"', "'")
    if "null" in text:
        raise Outside("a test for null")
    return feel(text, names) if re.search(r"[A-Za-z]", re.sub(r"'[^']*'|not\(|true|false", "", text)) else text


# Reading the kit

_TYPES = {"number": "decimal", "string": "text", "boolean": "boolean", "date": "date"}


def _inputs(root: ET.Element) -> dict[str, str]:
    """Input names with their simple types; others are left out."""
    aliases = {}
    for item in _children(root, "itemDefinition"):
        reference = _child(item, "typeRef")
        if item.get("name") and reference is not None and reference.text:
            aliases[item.get("name", "")] = reference.text.rpartition(":")[2]
    found = {}
    for item in _children(root, "inputData"):
        variable = _child(item, "variable")
        of = (variable.get("typeRef") or "").rpartition(":")[2] if variable is not None else ""
        of = aliases.get(of, of)
        if of in _TYPES:
            found[item.get("name", "")] = of
    return found


def _field(of: str) -> dict[str, str]:
    bounds = {"min": "-1000000000", "max": "1000000000"} if of == "number" else {}
    return {"type": _TYPES[of], **bounds}


def _value(node: ET.Element | None, of: str | None = None) -> Value | None:
    """A value of a test case; None is nil. Errors: `Outside` for lists and structures."""
    if node is None:
        raise Outside("a list or a structure")
    if any(key.endswith("}nil") and value == "true" for key, value in node.attrib.items()):
        return None
    kind = next((value for key, value in node.attrib.items() if key.endswith("}type")), "").rpartition(":")[2]
    text = (node.text or "").strip()
    match kind:
        case "decimal" | "double" | "integer" | "int" | "long":
            if re.fullmatch(r"-?\d+(\.\d+)?(E-?\d+)?", text, re.IGNORECASE) is None:
                raise Outside("a number that is none")
            found = Fraction(text)
            return int(found) if found.denominator == 1 else found
        case "string":
            return node.text or ""
        case "boolean":
            return text == "true"
        case "date":
            try:
                return date.fromisoformat(text)
            except ValueError:
                raise Outside("a date beyond the calendar's years") from None
    raise Outside(f"a {kind or 'structured'} value")


def _table(node: ET.Element, names: dict[str, str], variable: str) -> dict[str, Any]:
    """A decision table as the keys of a provision."""
    hit = {"UNIQUE": "unique", "ANY": "any", "FIRST": "first", "PRIORITY": "priority"}.get(
        node.get("hitPolicy", "UNIQUE")
    )
    aggregation = node.get("aggregation")
    if node.get("hitPolicy") == "COLLECT" and aggregation:
        hit = aggregation.lower()
    if hit is None:
        raise Outside(f"hit policy {node.get('hitPolicy')}: a list of rows")
    columns = [feel(_text(_child(column, "inputExpression")), names) for column in _children(node, "input")]
    outputs = _children(node, "output")
    gives: dict[str, Any] = {}
    literals = [[_text(entry) for entry in _children(rule, "outputEntry")] for rule in _children(node, "rule")]
    for place, output in enumerate(outputs):
        name = identifier(output.get("name") or variable)
        first = literals[0][place] if literals else ""
        kind = "text" if first.startswith('"') else "boolean" if first in ("true", "false") else "decimal"
        gives[name] = {"type": "integer" if hit == "count" else kind}
    rows = [
        [*(unary_test(_text(entry), names) for entry in _children(rule, "inputEntry")),
         *("1" if hit == "count" else feel(text, names).replace('"', "'") for text in literals[number])]
        for number, rule in enumerate(_children(node, "rule"))
    ]  # fmt: skip
    table: dict[str, Any] = {"hit": hit, "on": columns, "gives": gives, "rows": rows}
    defaults = [_text(_child(output, "defaultOutputEntry")) for output in outputs]
    if all(defaults):
        table["default"] = [feel(text, names).replace('"', "'") for text in defaults]
    if hit == "priority":
        if len(outputs) > 1:
            raise Outside("priority over several outputs")
        table["priority"] = [part.strip().strip('"') for part in _text(_child(outputs[0], "outputValues")).split(",")]
    return table


def _provision(decision: ET.Element, inputs: dict[str, str]) -> tuple[dict[str, Any], bool, tuple[str, ...]]:
    """A decision as a provision, whether rows that match nothing give a sentinel, and its outputs."""
    names = {name: identifier(name) for name in inputs}
    facts: list[Any] = [{names[name]: _field(of)} for name, of in inputs.items()]
    data: dict[str, Any] = {"id": "tiny.one", "kind": "parameter", "label": "一", "plan": "1", "at": "一",
                            "summary": "概括", "facts": facts}  # fmt: skip
    literal, table = _child(decision, "literalExpression"), _child(decision, "decisionTable")
    if literal is not None:
        text = feel(_text(literal), names).replace('"', "'")
        if "nothing" in text:
            facts.append({"nothing": {"type": "boolean" if re.search(r"\b(and|or)\b", text) else "decimal"}})
        data["outputs"] = {"result": {"is": text, "with": ["any"]}}
        return _loaded(data), False, ("result",)
    if table is None:
        raise Outside("neither a table nor an expression")
    data["tables"] = [_table(table, names, decision.get("name", ""))]
    gives = tuple(data["tables"][0]["gives"])
    data["outputs"] = {f"out_{name}": {"is": name, "with": ["any"]} for name in gives}
    try:
        return _loaded(data), False, tuple(f"out_{name}" for name in gives)
    except Outside as reason:
        if "table-gap" not in str(reason):
            raise
    of = data["tables"][0]["gives"]
    if any(item["type"] == "boolean" for item in of.values()):
        raise Outside("table-gap, with no value to stand for it")
    data["tables"][0]["default"] = [f"'{NO_ROW}'" if of[name]["type"] == "text" else "-999999" for name in gives]
    return _loaded(data), True, tuple(f"out_{name}" for name in gives)


def _loaded(data: dict[str, Any]) -> dict[str, Any]:
    try:
        load_provision(data)
    except PackError as error:
        raise Outside(f"refused when loaded: {error.problems[0].code}") from None
    return data


def read_kit(folder: Path) -> Kit:
    """Every case of the kit that can be said in the rule language, and why the others cannot."""
    kit = Kit()
    for path in sorted(folder.glob("TestCases/compliance-level-[23]/*/*.dmn")):
        decisions: dict[str, Any] = {}
        root = ET.parse(path).getroot()
        inputs = _inputs(root)
        for decision in _children(root, "decision"):
            try:
                if _child(decision, "informationRequirement") is not None and any(
                    _child(found, "requiredDecision") is not None
                    for found in _children(decision, "informationRequirement")
                ):
                    raise Outside("a decision that needs another")
                decisions[decision.get("name", "")] = _provision(decision, inputs)
            except Outside as reason:
                decisions[decision.get("name", "")] = reason
        for test in sorted(path.parent.glob("*-test-*.xml")):
            for found in _cases(test, decisions, inputs, kit):
                kit.cases.append(found)
    return kit


def _cases(path: Path, decisions: dict[str, Any], inputs: dict[str, str], kit: Kit) -> Iterator[TckCase]:
    for case in _children(ET.parse(path).getroot(), "testCase"):
        for result in _children(case, "resultNode"):
            try:
                found = decisions.get(result.get("name", ""), Outside("no such decision"))
                if isinstance(found, Outside):
                    raise found
                data, sentinel, outputs = found
                values = {identifier(node.get("name", "")): _value(_child(node, "value"))
                          for node in _children(case, "inputNode") if node.get("name") in inputs}  # fmt: skip
                expected = _expected(result, outputs)
                yield TckCase(
                    f"{path.parent.name} {case.get('id')} {result.get('name')}", data, values, expected, sentinel
                )
            except Outside as reason:
                kit.outside[str(reason)] += 1


def _expected(result: ET.Element, outputs: tuple[str, ...]) -> dict[str, Value | None]:
    expected = _child(result, "expected")
    assert expected is not None
    components = _children(expected, "component")
    if components:
        return {f"out_{identifier(node.get('name', ''))}": _value(_child(node, "value")) for node in components}
    if len(outputs) > 1 and _child(expected, "value") is not None:
        value = _value(_child(expected, "value"))
        return dict.fromkeys(outputs, value)
    return {outputs[0]: _value(_child(expected, "value"))}


def _as_expected(case: TckCase, verdict: Verdict) -> bool:
    for name, wanted in case.expected.items():
        found = verdict.values.get(name)
        if case.sentinel and found in (NO_ROW, -999999):
            found = None
        if isinstance(wanted, (int, Fraction)) and not isinstance(wanted, bool):
            if found is None or isinstance(found, (str, bool, date)):
                return False
            if abs(Fraction(found) - wanted) > abs(Fraction(wanted)) / 10**8:  # the kit rounds what has no end
                return False
        elif found != wanted or type(found) is not type(wanted):
            return False
    return True


def test_the_kits_cases_come_out_as_the_kit_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    kit = read_kit(Path(KIT))
    folders = Counter(case.name.split()[0] for case in kit.cases)
    wrong: list[str] = []
    ran: Counter[str] = Counter()
    evaluators = [one for one in installed() if one.name != "chaining"]
    different = [case for case in kit.cases if case.name.startswith(tuple(DIFFERENT))]
    for case in kit.cases:
        if case in different:
            continue
        provision = load_provision(case.data)
        values = {name: case.values.get(name) for name in provision.facts}
        (verdict,) = reference(provision, None)([values])
        ran["reference"] += 1
        if not _as_expected(case, verdict):
            wrong.append(
                f"{case.name}: expected {case.expected}, found {verdict}, {case.data.get('tables') or case.data['outputs']}"
            )
            continue
        for evaluator in evaluators:
            try:
                (found,) = evaluator.prepare(provision, None)([values])
            except Refused:
                continue
            except Exception as error:  # the kit's other cases go on
                wrong.append(f"{case.name}: {evaluator.name} fails: {error!r}"[:300])
                continue
            ran[evaluator.name] += 1
            if not found.agrees(verdict):
                wrong.append(f"{case.name}: {evaluator.name} says {found}, the reference {verdict}")
    with capsys.disabled():
        print(f"\nDMN TCK: {len(kit.cases)} cases of {len(folders)} folders inside the language, {dict(ran)};")
        print(f"{len(different)} of them differ on purpose; outside the language")
        print(f"{kit.outside.total()}: {kit.outside.most_common(12)}")
        print(f"folders: {dict(folders)}")
    assert len(kit.cases) > 100, "hardly a case was read: is this the kit?"
    assert not wrong, "\n".join([f"{len(wrong)} of {len(kit.cases)} cases", *wrong[:40]])
