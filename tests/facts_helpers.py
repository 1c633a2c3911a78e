"""A small pack for the tests of `facts`: departments, firms with related rows, fund documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from engine.dossier import DossierOutcome, assess_dossier, derive_case, reference_agenda, skipped_matters
from engine.errors import EvaluationError
from engine.expr import Literal
from engine.load import Pack
from engine.model import (
    Choice,
    Citation,
    Dossier,
    Field,
    Provision,
    ProvisionKind,
    RecordType,
    Text,
)
from engine.types import BOOLEAN, COUNT, DATE, MONEY, RATIO, TEXT, Kind, Type
from engine.values import Value
from facts.reading import Submission, read_facts

GRADES = Type(Kind.ENUM, values=("special", "first", "second"))
KINDS = Type(Kind.ENUM, values=("special_fund", "general_fund"))


def make_field(
    name: str, type: Type, zh: str, en: str = "", unit: str | None = None, aliases: Iterable[str] = (),
    minimum: Value | None = None, maximum: Value | None = None, choices: tuple[Choice, ...] = (),
    note: Text | None = None,
) -> Field:  # fmt: skip
    return Field(name, type, Text(zh, en), unit=unit, aliases=tuple(aliases), minimum=minimum, maximum=maximum,
                 choices=choices, note=note)  # fmt: skip


def record(
    name: str, zh: str, en: str, fields: Iterable[Field], key: str | None, aliases: tuple[str, ...] = ()
) -> RecordType:
    return RecordType(name, Text(zh, en), {field.name: field for field in fields}, key=key, aliases=aliases)


FIRM_NAME = make_field("firm_name", TEXT, "企业名称", "Firm", aliases=("公司名称", "企业"))
GRADE = make_field(
    "grade", GRADES, "资质等级", "Grade",
    choices=(Choice("special", Text("特级", "Special")), Choice("first", Text("一级", "First"), ("壹级",)),
             Choice("second", Text("二级", "Second"), ("贰级",))),
)  # fmt: skip

DEPARTMENT = record("department", "部门", "Department", (
    make_field("department_name", TEXT, "部门名称", "Department", aliases=("单位名称", "部门")),
    make_field("has_task", BOOLEAN, "是否有争取资金任务", "Has a task"),
    make_field("task_amount", MONEY, "争取资金任务", "Fund task", "元", ("任务数", "争取资金情况任务"), minimum=0),
    make_field("raised_amount", MONEY, "争取资金完成额", "Raised", "元", ("完成额",), minimum=0),
    make_field("next_year_public_funds", MONEY, "下一年度公用经费", "Public funds next year", "元", minimum=0),
    make_field("progress_june", RATIO, "6月底支出进度", "Progress June", "%", ("6月",), minimum=0),
    make_field("staff", COUNT, "在职人数", "Staff", "人", minimum=0),
    make_field("received_on", DATE, "收到日期", "Received on"),
), key="department_name", aliases=("departments",))  # fmt: skip

DEPARTMENTS = Dossier(
    "departments", Text("部门预算", "Department budgets"), "department", {"department": DEPARTMENT}, ())

FIRMS = Dossier("firms", Text("建筑企业", "Construction firms"), "firm", {
    "firm": record("firm", "企业", "Firm", (
        FIRM_NAME,
        make_field("registered_in_prefecture", BOOLEAN, "是否州内注册", "Registered here"),
        make_field("credit_code", TEXT, "统一社会信用代码", "Credit code"),
    ), key="firm_name", aliases=("firms",)),
    "promotion": record("promotion", "资质晋升", "Promotion", (
        FIRM_NAME, make_field("year", COUNT, "年度", "Year", minimum=1990, maximum=2100), GRADE), key=None),
    "award": record("award", "获奖", "Award", (
        FIRM_NAME, make_field("year", COUNT, "年度", "Year"), make_field("award_name", TEXT, "奖项", "Award"),
        make_field("amount", MONEY, "合同金额", "Contract amount", "元")), key=None),
    "payment": record("payment", "已付奖励", "Payment", (
        FIRM_NAME, make_field("paid_on", DATE, "支付日期", "Paid on"),
        make_field("paid_amount", MONEY, "支付金额", "Paid amount", "元")), key=None),
}, ())  # fmt: skip

DOCUMENTS = Dossier("fund_documents", Text("资金文件", "Fund documents"), "document", {
    "document": record("document", "资金文件", "Fund document", (
        make_field("document_no", TEXT, "文号", "Document no."),
        make_field("received_on", DATE, "收文日期", "Received on"),
        make_field("fund_kind", KINDS, "资金性质", "Kind of fund", choices=(
            Choice("special_fund", Text("专项资金", "Special")), Choice("general_fund", Text("一般资金", "General")))),
        make_field("disbursed_on", DATE, "拨付日期", "Disbursed on"),
        make_field("share", RATIO, "拨付比例", "Share", "%", minimum=0, maximum=1),
    ), key="document_no", aliases=("documents",)),
}, ())  # fmt: skip

DOSSIERS = {dossier.id: dossier for dossier in (DEPARTMENTS, FIRMS, DOCUMENTS)}

_OUTCOME = Literal("not_triggered", TEXT)
SHORTFALL = Provision(
    "fiscal.budget_cut.shortfall", ProvisionKind.SANCTION, Text("未完成争取资金任务"), Text(""), Citation("", "", ""),
    {name: DEPARTMENT.fields[name] for name in ("has_task", "task_amount", "raised_amount", "progress_june")},
    _OUTCOME, (), {},
)  # fmt: skip


def provision(id: str) -> Provision | None:
    return SHORTFALL if id == SHORTFALL.id else None


def read(*paths: Path | str, record: str | None = None) -> Submission:
    """Read with the test pack; the account of rows must always add up."""
    submission = read_facts(paths, dossiers=DOSSIERS, provision=provision, record=record)
    counts = submission.counts
    assert counts.rows_in == counts.accepted + counts.rejected + counts.skipped
    for problem in submission.problems:  # every wording must have its fields, in both languages
        assert problem.render("zh")
        assert problem.render("en")
        assert problem.to_dict()
    return submission


def codes(submission: Submission, severity: str | None = None) -> list[str]:
    return [problem.code for problem in submission.problems if severity in (None, problem.severity)]


def places(submission: Submission, code: str) -> list[str]:
    """The places of one code without the folder."""
    return [str(p.location).rpartition("/")[2] for p in submission.problems if p.code == code]


def case_by_case(pack: Pack, submission: Submission, day: date) -> Iterator[tuple[Dossier, DossierOutcome]]:
    """Every case by the reference evaluator; one that reaches beyond the calendar is left out."""
    for case in submission.cases:
        dossier = pack.dossiers[case.dossier]
        provisions = {matter.provision: pack.provision(matter.provision) for matter in dossier.matters}
        skipped = skipped_matters(dossier, provisions, submission.present)
        derived = derive_case(dossier, case)
        agenda = reference_agenda(dossier, derived, skipped)
        try:
            found = assess_dossier(pack, dossier, derived, agenda, day, skipped, explained=False)
        except EvaluationError:
            continue
        yield dossier, found
