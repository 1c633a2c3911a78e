"""A trace → sentences an officer could paste into a reply letter, in Chinese or English.

Recomputes nothing: every figure comes from the outcome and its trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from engine.errors import Lang
from engine.expr import Arithmetic, Call, Compare, Expr, IfElse, Literal, Logic, Name, Not
from engine.kinds import LABELS, UNDETERMINED
from engine.model import Field, Provision, ProvisionKind, Text
from engine.outcome import Outcome
from engine.trace import OUTPUT_LABELS, Operand, Step, Trace
from engine.types import Kind, Type
from engine.values import Value, money_text, value_text

_SIGNS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠", "+": "+", "-": "−", "*": "×", "/": "÷"}

_CALLS: dict[str, Text] = {
    "min": Text("{0}、{1} 中较小者", "the lesser of {0} and {1}"),
    "max": Text("{0}、{1} 中较大者", "the greater of {0} and {1}"),
    "abs": Text("{0} 的绝对值", "the magnitude of {0}"),
    "floor": Text("{0} 向下取整", "{0} rounded down"),
    "truncate": Text("{0} 舍去小数", "{0} without its fraction"),
    "round_half_up": Text("{0} 四舍五入", "{0} rounded half up"),
    "workdays_after": Text("{0} 之后第 {1} 个工作日", "the {1}th working day after {0}"),
    "workdays_between": Text("{0} 之后至 {1} 的工作日数", "working days after {0} up to {1}"),
    "next_workday": Text("{0}（遇休息日顺延至下一工作日）", "{0} (or the next working day)"),
    "months_after": Text("{0} 之后满 {1} 个月之日", "{1} months after {0}"),
    "date_of": Text("{0} {1} {2} 日", "{0}-{1}-{2}"),
    "year_of": Text("{0} 的年份", "the year of {0}"),
    "month_of": Text("{0} 的月份", "the month of {0}"),
    "is_known": Text("已知{0}", "{0} is known"),
}

_CONDITION_WORDS = {ProvisionKind.SANCTION: "处理情形", ProvisionKind.PROHIBITION: "禁止情形"}
_PRECEDENCE = {"or": 1, "and": 2, "+": 5, "-": 5, "*": 6, "/": 6}


class Wording:
    """Words for one provision: labels of its names, values as people write them."""

    def __init__(self, provision: Provision, lang: Lang) -> None:
        self.provision, self.lang = provision, lang

    def value(self, value: Value | None, of: Type, field: Field | None = None) -> str:
        if isinstance(value, str) and field is not None and field.choices:
            return field.choice_label(value, self.lang)
        if isinstance(value, date) and self.lang == "zh":
            return f"{value.year}年{value.month}月{value.day}日"
        return value_text(value, of, self.lang)

    def operand(self, operand: Operand) -> str:
        return self.value(operand.value, operand.type, self.provision.facts.get(operand.name))

    def formula(self, expr: Expr, names: Mapping[str, str]) -> str:
        """The expression in words, each name replaced by the given text."""
        return self._say(expr, names, 0)

    def _say(self, expr: Expr, names: Mapping[str, str], outer: int) -> str:
        zh = self.lang == "zh"
        match expr:
            case Literal(value):
                if isinstance(value, str):
                    return self._choice(value)
                return self.value(value, expr.type)
            case Name(name):
                return names.get(name, name)
            case Not(operand):
                inner = self._say(operand, names, 3)
                return f"并非（{inner}）" if zh else f"not ({inner})"
            case Logic(op, operands):
                own = _PRECEDENCE[op]
                word = {"and": " 且 " if zh else " and ", "or": " 或 " if zh else " or "}[op]
                text = word.join(self._say(part, names, own + 1) for part in operands)
                return f"（{text}）" if own < outer else text
            case Compare(op, left, right):
                return f"{self._say(left, names, 5)} {_SIGNS[op]} {self._side(left, right, names)}"
            case Arithmetic(op, left, right):
                own = _PRECEDENCE[op]
                text = f"{self._say(left, names, own)} {_SIGNS[op]} {self._say(right, names, own + 1)}"
                return f"({text})" if own < outer else text
            case IfElse(condition, then, other):
                test, a, b = (self._say(part, names, 0) for part in (condition, then, other))
                return f"（若 {test}，为 {a}；否则为 {b}）" if zh else f"({a} if {test}, otherwise {b})"
            case Call(function, arguments):
                parts = [self._say(part, names, 0) for part in arguments]
                if function in ("min", "max") and len(parts) > 2:
                    parts = [("、" if zh else ", ").join(parts[:-1]), parts[-1]]
                return _CALLS[function].get(self.lang).format(*parts, *[""] * 3)

    def _side(self, left: Expr, right: Expr, names: Mapping[str, str]) -> str:
        """The right side of a comparison; an enumeration's value by its label."""
        if isinstance(right, Literal) and isinstance(right.value, str) and isinstance(left, Name):
            field = self.provision.facts.get(left.name)
            if field is not None:
                return field.choice_label(right.value, self.lang)
        return self._say(right, names, 5)

    def _choice(self, value: str) -> str:
        for field in self.provision.facts.values():
            label = field.choice_label(value, self.lang)
            if label != value:
                return label
        return value


def why(outcome: Outcome, provision: Provision, lang: Lang = "zh") -> str:
    """The reason in a few words, for one line of a table."""
    words = Wording(provision, lang)
    if outcome.status == UNDETERMINED:
        labels = missing_labels(outcome, provision, lang)
        if labels:
            return ("缺少：" + "、".join(labels)) if lang == "zh" else "missing: " + ", ".join(labels)
        return "；".join(reason.zh if lang == "zh" else reason.en for reason in outcome.reasons)
    trace: Trace | None = outcome.trace
    return (_reason(trace, outcome, words) if trace is not None else "") or LABELS[outcome.status].get(lang)


def _reason(trace: Trace, outcome: Outcome, words: Wording) -> str:
    """The step that tells most: a condition that failed, the table row that matched, the formula."""
    zh = words.lang == "zh"
    turning = [step for step in trace.steps if step.kind == "requirement"]
    for step in trace.steps:
        if step.kind == "applies" and step.value is False:
            return ("不适用：不符合 " if zh else "does not apply: not ") + _condition(step, words)
    if outcome.status in ("ineligible", "breach") and words.provision.kind is not ProvisionKind.PROHIBITION:
        for step in turning:
            if step.value is False:
                return ("不符合：" if zh else "fails: ") + _condition(step, words)
    if outcome.status == "breach":
        return ("属禁止情形：" if zh else "forbidden: ") + "；".join(_condition(step, words) for step in turning)
    for step in trace.steps:
        if step.kind == "table" and step.row is not None:
            read = "，".join(f"{operand.label.get(words.lang)} {words.operand(operand)}" for operand in step.operands)
            tests = " | ".join(_telling_tests(step))
            if not tests:
                return read
            return f"{read}（{tests}）" if zh else f"{read} ({tests})"
    choices = [] if words.provision.kind is not ProvisionKind.SANCTION else [
        f"{step.label.get(words.lang)} {words.value(step.value, step.type)}"
        for step in trace.steps
        if step.kind == "let" and isinstance(step.expr, IfElse) and step.value
    ]
    if choices:
        return ("、" if zh else ", ").join(choices)
    if words.provision.kind is ProvisionKind.SANCTION:
        read_facts = [
            f"{operand.label.get(words.lang)} {words.operand(operand)}"
            for step in turning
            for operand in step.operands
            if operand.name in words.provision.facts
        ]
        if read_facts:
            return ("，" if zh else ", ").join(read_facts)
        if outcome.status == "not_triggered":
            return ""
    for step in trace.steps:
        if step.name in ("due_date", "amount", "amount_max") and step.expr is not None and _equation(step, words):
            return f"{step.label.get(words.lang)} = {words.formula(step.expr, _labels(step, words.lang))}"
    return ""


def missing_labels(outcome: Outcome, provision: Provision, lang: Lang) -> list[str]:
    order = list(provision.facts)
    missing = sorted(outcome.missing, key=lambda name: order.index(name) if name in order else len(order))
    return [provision.facts[name].label.get(lang) if name in provision.facts else name for name in missing]


def explain(outcome: Outcome, provision: Provision, lang: Lang = "zh") -> list[str]:
    """The reasoning in sentences: verdict, clause, facts, each step, other readings, what is missing."""
    words = Wording(provision, lang)
    zh = lang == "zh"
    lines = [_verdict(outcome, provision, words)]
    if outcome.read_as is not None:
        read_as = outcome.read_as
        lines.append(f"按另一读法计算——{read_as.zh}。" if zh else f"Under another reading - {read_as.en}.")
    summary = outcome.summary.get(lang)
    lines.append(f"依据：{outcome.citation}。{summary}" if zh else f"Clause: {outcome.citation}. {summary}")
    trace: Trace | None = outcome.trace
    if trace is not None:
        given = [
            f"{step.label.get(lang)}：{words.value(step.value, step.type, provision.facts.get(step.name))}"
            if zh
            else f"{step.label.get(lang)}: {words.value(step.value, step.type, provision.facts.get(step.name))}"
            for step in trace.steps
            if step.kind == "fact" and step.value is not None
        ]
        if given:
            lines.append(("事实：" + "；".join(given) + "。") if zh else "Facts: " + "; ".join(given) + ".")
        lines += _numbered([text for step in trace.steps if (text := _sentence(step, words))])
    if outcome.status == UNDETERMINED:
        labels = missing_labels(outcome, provision, lang)
        if labels:
            lines.append(
                f"还缺：{'、'.join(labels)}。补齐后即可判定。"
                if zh
                else f"Missing: {', '.join(labels)}. With these the outcome can be decided."
            )
        lines += [f"无法计算：{reason.zh}" if zh else f"Cannot be computed: {reason.en}" for reason in outcome.reasons]
    for other in outcome.readings:
        result = _short(other.outcome, Wording(other.variant, lang))
        lines.append(
            f"另一读法：{other.point.zh}——本结果取“{other.chosen.zh}”（{other.why.zh}）；"
            f"若取“{other.other.zh}”，则为 {result}。"
            if zh
            else f"Another reading: {other.point.get('en')} - this outcome takes '{other.chosen.get('en')}' "
            f"({other.why.get('en')}); under '{other.other.get('en')}' it would be {result}."
        )
    lines += [("注意：" if zh else "Note: ") + notice.get(lang) for notice in (*outcome.notices, *provision.notes)]
    return lines


def _verdict(outcome: Outcome, provision: Provision, words: Wording) -> str:
    zh = words.lang == "zh"
    label = provision.label.get(words.lang)
    subject = (outcome.subject + ("：" if zh else ": ")) if outcome.subject else ""
    text = f"{subject}{label}——{_short(outcome, words)}" if zh else f"{subject}{label}: {_short(outcome, words)}"
    if outcome.measures:
        text += ("；措施：" if zh else "; measures: ") + "、".join(item.get(words.lang) for item in outcome.measures)
    return text + ("。" if zh else ".")


def _short(outcome: Outcome, words: Wording) -> str:
    """Status and figures: 应予处理，比例 10%，金额 200,000.00元."""
    parts = [LABELS[outcome.status].get(words.lang)]
    for output in words.provision.outputs:
        name = output.name
        if name not in outcome.values or any(part.startswith(f"\0{name}") for part in parts):
            continue
        if outcome.status == "ineligible" and name == "amount":
            continue
        label = output.label or OUTPUT_LABELS.get(name, Text(name, name))
        parts.append(f"\0{name}\0{label.get(words.lang)} {words.value(outcome.values[name], output.expr.type)}")
    separator = "，" if words.lang == "zh" else ", "
    return separator.join(part.split("\0")[-1] for part in parts)


def _labels(step: Step, lang: str) -> dict[str, str]:
    return {operand.name: operand.label.get(lang) for operand in step.operands}


def _values(step: Step, words: Wording) -> dict[str, str]:
    return {operand.name: words.operand(operand) for operand in step.operands}


def _condition(step: Step, words: Wording) -> str:
    """A condition in words: its own label, or the formula over labels; a lone fact is its label."""
    if step.label.get(words.lang):
        return step.label.get(words.lang)
    assert step.expr is not None
    return words.formula(step.expr, _labels(step, words.lang))


def _sentence(step: Step, words: Wording) -> str:
    zh = words.lang == "zh"
    match step.kind:
        case "parameter":
            return (
                f"{step.label.get(words.lang)}：{words.value(step.value, step.type)}"
                if zh
                else f"{step.label.get(words.lang)}: {words.value(step.value, step.type)}"
            )
        case "applies" | "requirement":
            verdict = {
                True: "满足" if zh else "holds",
                False: "不满足" if zh else "does not hold",
                None: "尚不能判断" if zh else "cannot be decided yet",
            }[_truth(step.value)]
            name = "适用条件" if step.kind == "applies" else _CONDITION_WORDS.get(words.provision.kind, "条件")
            text = _condition(step, words)
            return f"{name}“{text}”：{verdict}" if zh else f"Condition '{text}': {verdict}"
        case "let" | "output":
            return _equation(step, words)
        case "table":
            if step.row is None:
                return ""
            read = ("，" if zh else ", ").join(
                f"{operand.label.get(words.lang)} {words.operand(operand)}" for operand in step.operands
            )
            tests = " | ".join(_telling_tests(step))
            result = words.value(step.value, step.type)
            if zh:
                return f"查表：{read}，属第 {step.row} 行{f'（{tests}）' if tests else ''}，{step.label.zh}为 {result}"
            return f"Table: {read}, row {step.row}{f' ({tests})' if tests else ''}: {step.label.get('en')} {result}"
    return ""


def _telling_tests(step: Step) -> list[str]:
    """The row's tests on amounts, ratios and dates; a choice says no more than its own value."""
    tests = step.row_texts[: len(step.operands)]
    return [
        text
        for text, operand in zip(tests, step.operands, strict=False)
        if operand.type.kind not in (Kind.ENUM, Kind.BOOLEAN, Kind.TEXT)
    ]


def _truth(value: Value | None) -> bool | None:
    return value if isinstance(value, bool) else None


def _equation(step: Step, words: Wording) -> str:
    """label = formula over labels = formula over values = result."""
    assert step.expr is not None
    label, result = step.label.get(words.lang), words.value(step.value, step.type)
    if isinstance(step.expr, Name) and step.expr.role == "let":
        return ""  # that step stands above already
    if isinstance(step.expr, Literal):
        return f"{label} = {result}" if step.kind == "let" else ""
    if isinstance(step.expr, Name):
        inner = _labels(step, words.lang).get(step.expr.name, label)
        return f"{label} = {result}" if inner == label else f"{label} = {inner} = {result}"
    over_labels = words.formula(step.expr, _labels(step, words.lang))
    if step.value is None or any(operand.value is None for operand in step.operands):
        return f"{label} = {over_labels}" + ("（尚缺事实）" if words.lang == "zh" else " (facts missing)")
    over_values = words.formula(step.expr, _values(step, words))
    parts = [label, over_labels]
    if over_values not in (over_labels, result):
        parts.append(over_values)
    if step.exact is not None and step.type.kind is Kind.MONEY and not isinstance(step.exact, (str, date)):
        exact = money_text(step.exact) + ("元" if words.lang == "zh" else " yuan")
        rounded = "四舍五入到分为" if words.lang == "zh" else "half up to the fen"
        return " = ".join([*parts, exact]) + (
            f"，{rounded} {result}" if words.lang == "zh" else f", {rounded} {result}"
        )
    return " = ".join([*parts, result])


def _numbered(sentences: list[str]) -> Iterator[str]:
    for number, sentence in enumerate(sentences, 1):
        yield f"{number}. {sentence}"
