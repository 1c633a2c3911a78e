"""What `verify` finds about a pack: codes and wording, and how a finding becomes worked cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from engine.dataclass import dataclass
from engine.declared import Explanation
from engine.errors import Lang, Problem, Wording, register
from engine.model import Text
from engine.outcome import Outcome
from engine.source import Location
from engine.witness import Witness, case_text


@dataclass(frozen=True, slots=True)
class Finding:
    """Something `verify` says about the rules themselves.

    `where` is the provision, fact or parameter; `about` the row, value or condition, short and stable,
    so that `explained.yaml` can name it. `cases` show it: what the reference evaluator makes of them has
    been looked at. A `warning` says that something could not be proved, or that an explanation is stale.
    """

    code: str
    at: Location
    where: str
    about: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    cases: tuple[Witness, ...] = ()
    explained: Text | None = None
    severity: Literal["error", "warning"] = "error"

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.code, self.where, self.about, str(self.at))

    @property
    def problem(self) -> Problem:
        return Problem(self.code, self.at, {"where": self.where, "about": self.about, **self.fields}, self.severity)

    def message(self, lang: Lang = "zh") -> str:
        return self.problem.message(lang)

    def cases_text(self, lang: Lang = "zh") -> str:
        """The cases as entries of a pack's `cases/`; empty where a case would show nothing."""
        return "\n".join(
            case_text(case, f"{self.code}: {self.about}" if self.about else self.code, self.message(lang))
            for case in self.cases
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            **self.problem.to_dict(),
            "where": self.where,
            "about": self.about,
            "cases": self.cases_text(),
            "explained": None if self.explained is None else {"zh": self.explained.zh, "en": self.explained.en},
        }


def explain_findings(findings: list[Finding], explanations: list[Explanation], whole: bool = True) -> list[Finding]:
    """Each finding with the pack's own explanation of it.

    Where the `whole` pack was looked at, explanations that explain nothing are findings.
    """
    from dataclasses import replace

    used: set[int] = set()
    result = []
    for finding in findings:
        for number, item in enumerate(explanations):
            if item.covers(finding.code, finding.where, finding.about):
                used.add(number)
                finding = replace(finding, explained=item.why)
                break
        result.append(finding)
    if whole:
        result += [
            Finding("explanation-stale", item.at, item.where, item.about, {"finding": item.finding})
            for number, item in enumerate(explanations)
            if number not in used
        ]
    return result


def outcome_text(outcome: Outcome | None, lang: Lang = "zh") -> str:
    """An outcome in a few words."""
    from engine.kinds import LABELS

    if outcome is None:
        return "无法求值" if lang == "zh" else "cannot be evaluated"
    parts = [LABELS[outcome.status].get(lang)]
    parts += [text for text in (outcome.amount, outcome.amount_max, outcome.due_date) if text is not None]
    if outcome.rate is not None:
        parts.append(f"{outcome.rate}%")
    return " ".join(parts)


register({
    "no-result": Wording(
        "{where}：事实齐全，却没有结论（{reason_zh}）",
        "{where}: every fact is known, yet there is no outcome ({reason_en})",
        "补上这种情形的规定",
        "say what holds in this case"),
    "condition-never": Wording(
        "{where}：条件 `{about}` 永远不成立",
        "{where}: the condition `{about}` can never hold",
        "检查数字与方向，或删去",
        "check its figure and direction, or remove it"),
    "condition-always": Wording(
        "{where}：条件 `{about}` 总是成立，不起作用",
        "{where}: the condition `{about}` always holds and decides nothing",
        "检查数字与方向，或删去",
        "check its figure and direction, or remove it"),
    "branch-never": Wording(
        "{where}：走不到 `{about}` 为{side_zh}的分支",
        "{where}: no case takes the branch where `{about}` is {side_en}",
        "前面的条件已经排除了它",
        "the conditions before it leave nothing for it"),
    "status-never": Wording(
        "{where}：没有任何案例得出“{status_zh}”",
        "{where}: no case comes to `{about}` ({status_en})",
        "各项条件互相矛盾，或已被前面的情形覆盖",
        "its conditions contradict each other, or an earlier branch covers it"),
    "amount-negative": Wording(
        "{where}：`{about}` 可以为负：{value}",
        "{where}: `{about}` can be negative: {value_en}",
        "用 max(0元, …)，或收紧事实的范围",
        "use max(0元, …), or tighten the bounds of its facts"),
    "above-cap": Wording(
        "{where}：`{about}` 可以超过上限：{value}，上限 {cap}",
        "{where}: `{about}` can exceed its cap: {value_en} over {cap_en}",
        "用 min(…, 上限)",
        "use min(…, the cap)"),
    "not-monotone": Wording(
        "{where}：`{about}` 由 {low} 升到 {high}，结果由 {low_result} 变为 {high_result}，与所声明的{direction_zh}不符",
        "{where}: as `{about}` rises from {low_en} to {high_en} the result goes from {low_result_en} to "
        "{high_result_en}; it is declared {direction_en}",
        "检查分档次序和边界",
        "check the order and bounds of the brackets"),
    "both-pay": Wording(
        "互斥组 {about}：{where} 与 {other} 可以同时给付",
        "exclusive group {about}: {where} and {other} can both take effect",
        "为其中一条补上排除另一条的条件",
        "give one of them a condition that excludes the other"),
    "cannot-evaluate": Wording(
        "{where}：在所声明的范围内有案例无法求值（{about}）",
        "{where}: a case within the declared bounds cannot be evaluated ({about})",
        "给事实写上 min、max",
        "declare `min` and `max` for the facts"),
    "parameter-unused": Wording(
        "参数 `{where}` 没有条款使用",
        "no provision reads the parameter `{where}`",
        "删去，或在条款中引用",
        "remove it, or read it"),
    "parameter-out-of-force": Wording(
        "{where}：参数 `{about}` 在适用期内的 {day} 没有数值",
        "{where}: the parameter `{about}` has no value on {day}, within the period",
        "补上自该日起的数值",
        "give its value from that day"),
    "deadline-beyond-calendar": Wording(
        "{where}：适用期内的日期 {day} 需要 {last} 年之后的放假安排",
        "{where}: {day}, within the period, needs the holiday notices after {last}",
        "缩短适用期，或在放假通知公布后更新日历",
        "shorten the period, or update the calendar once the notice is published"),
    "fact-unused": Wording(
        "{where}：事实 `{about}` 没有任何规则读取",
        "{where}: no rule reads the fact `{about}`",
        "删去，或在条件中使用",
        "remove it, or use it"),
    "fact-unlisted": Wording(
        "公用事实 `{where}` 没有条款或案卷使用",
        "no provision or dossier lists the shared fact `{where}`",
        "删去",
        "remove it"),
    "let-unused": Wording(
        "{where}：`{about}` 算出后没有用到",
        "{where}: `{about}` is worked out but never used",
        "删去，或在结果中使用",
        "remove it, or use it"),
    "enum-value-unmentioned": Wording(
        "{where}：枚举 `{fact}` 的取值 {about} 没有规则提到，彼此无区别",
        "{where}: no rule mentions the values {about} of `{fact}`; nothing tells them apart",
        "合并这些取值，或补上规则",
        "merge them, or give the rule that tells them apart"),
    "explanation-stale": Wording(
        "explained.yaml 说明了并不存在的发现：{finding} {where} {about}",
        "explained.yaml explains a finding that there is not: {finding} {where} {about}",
        "删去该条说明",
        "remove the entry"),
    "not-proved": Wording(
        "{where}：未能判定“{about}”（{reason_zh}）",
        "{where}: could not settle `{about}` ({reason_en})"),
})  # fmt: skip
