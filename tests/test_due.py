"""The calendar of duties: what falls due, and what a ledger makes of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from engine import load_pack
from engine.duties import DutyList, Entry, list_duties
from engine.duty_report import duty_data, duty_table
from engine.errors import PackError
from engine.output import csv_text, markdown_text
from engine.periods import Every, Period, months_period, periods_ending, read_period
from engine.schedule import deadlines, ledger_facts, load_schedule, trigger_facts, unscheduled
from facts.from_ledger import read_ledger

PACK = load_pack("chuxiong_2019")
SCHEDULE = load_schedule(PACK)
EXAMPLE = PACK.folder / "examples" / "duty_ledger.xlsx"


def due(start: str, end: str, as_of: str | None = None, entries: list[Entry] | None = None, body: str | None = None,
        prefix: str = "") -> DutyList:  # fmt: skip
    first, last = date.fromisoformat(start), date.fromisoformat(end)
    day = date.fromisoformat(as_of) if as_of else first
    found = list_duties(PACK, SCHEDULE, first, last, day, entries, body)
    lines = tuple(line for line in found.lines if line.occasion.provision.startswith(prefix))
    return DutyList(first, last, day, lines, found.waiting, found.problems, found.has_ledger)


def days(duties: DutyList) -> list[str]:
    return list(dict.fromkeys(line.occasion.due.isoformat() for line in duties.lines))


# Periods


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2019-05", "2019-05-01", "2019-05-31"),
        ("2019-05-01", "2019-05-01", "2019-05-31"),
        ("2019年2月", "2019-02-01", "2019-02-28"),
        ("5月份", "2019-05-01", "2019-05-31"),
        ("2019Q2", "2019-04-01", "2019-06-30"),
        ("2019年二季度", "2019-04-01", "2019-06-30"),
        ("第三季度", "2019-07-01", "2019-09-30"),
        ("前三季度", "2019-01-01", "2019-09-30"),
        ("2019 1—4季度", "2019-01-01", "2019-12-31"),
        ("2019-01..03", "2019-01-01", "2019-03-31"),
        ("2019年1—3月", "2019-01-01", "2019-03-31"),
        ("2019H1", "2019-01-01", "2019-06-30"),
        ("上半年", "2019-01-01", "2019-06-30"),
        ("2019年6月中旬", "2019-06-11", "2019-06-20"),
        ("2019年2月下旬", "2019-02-21", "2019-02-28"),
        ("2019年度", "2019-01-01", "2019-12-31"),
    ],
)
def test_periods_are_read(text: str, first: str, last: str) -> None:
    assert read_period(text, 2019) == Period(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize("text", ["", "13月", "2019-13", "五月前后", "2019-05-17", "每月"])
def test_what_is_no_period(text: str) -> None:
    assert read_period(text, 2019) is None


@pytest.mark.parametrize("every", list(Every))
def test_a_periods_label_reads_back(every: Every) -> None:
    for period in periods_ending(every, date(2019, 1, 1), date(2020, 12, 31)):
        if every is not Every.WEEK:
            assert read_period(period.label.zh) == period


@pytest.mark.parametrize(
    ("every", "count"),
    [(Every.WEEK, 52), (Every.TEN_DAYS, 36), (Every.MONTH, 12), (Every.TWO_MONTHS, 6), (Every.QUARTER, 4),
     (Every.HALF_YEAR, 2), (Every.YEAR, 1)],
)  # fmt: skip
def test_a_year_has_so_many(every: Every, count: int) -> None:
    assert len(list(periods_ending(every, date(2019, 1, 1), date(2019, 12, 31)))) == count


def test_months_period() -> None:
    assert months_period(2020, 2) == Period(date(2020, 2, 1), date(2020, 2, 29))


# What falls due


def test_the_thirtieth_of_february_is_its_last_day() -> None:
    found = due("2019-03-22", "2020-02-29", prefix="enterprise.report.lead_30")
    assert days(found) == [
        "2019-03-30", "2019-04-30", "2019-05-30", "2019-06-30", "2019-07-30", "2019-08-30", "2019-09-30",
        "2019-10-30", "2019-11-30", "2019-12-30", "2020-01-30",
    ]  # fmt: skip
    # The rule itself, for a February within its own reach:
    outcome = PACK.evaluate("enterprise.report.lead_30", {"year": 2020, "month": 2, "submitted": True})
    assert outcome.due_date == "2020-02-29"


def test_reports_by_the_third_and_the_twenty_fifth() -> None:
    assert days(due("2019-05-01", "2019-07-31", prefix="fiscal.report.monthly_3")) == [
        "2019-05-03", "2019-06-03", "2019-07-03"]  # fmt: skip
    assert days(due("2019-05-01", "2019-06-30", prefix="enterprise.report.responsible_25")) == [
        "2019-05-25", "2019-06-25"]  # fmt: skip


def test_quarterly_reports_of_ten_bodies() -> None:
    found = due("2019-01-01", "2020-12-31", prefix="notice.report.progress")
    assert days(found) == ["2019-04-10", "2019-07-10", "2019-10-10", "2020-01-10"]
    assert len(found.lines) == 40


def test_two_months_begin_with_march_and_april() -> None:
    found = due("2019-01-01", "2020-12-31", prefix="notice.inspection.lead_bimonthly")
    assert days(found) == ["2019-04-30", "2019-06-30", "2019-08-31", "2019-10-31", "2019-12-31"]


def test_only_the_months_that_are_named() -> None:
    found = due("2019-01-01", "2019-12-31", prefix="fiscal.meeting.balance_quarterly")
    assert days(found) == ["2019-01-31", "2019-04-30", "2019-07-31", "2019-10-31"]


def test_each_body_has_its_own() -> None:
    found = due("2019-02-01", "2019-02-28", prefix="fiscal.task.decompose")
    assert [line.occasion.body for line in found.lines][:2] == ["州税务局", "楚雄市人民政府"]
    assert len(found.lines) == 11
    assert all(line.occasion.due == date(2019, 2, 10) for line in found.lines)


def test_a_bureau_sees_its_own() -> None:
    found = due("2019-06-01", "2019-06-30", body="州财政局")
    assert {line.occasion.provision for line in found.lines} >= {
        "notice.report.monthly_to_leader", "fiscal.meeting.revenue_monthly"}  # fmt: skip
    assert all("州财政局" in line.occasion.body for line in found.lines)


def test_no_recurring_duty_is_left_out() -> None:
    assert unscheduled(PACK, SCHEDULE) == []


def test_every_deadline_is_listed_or_waits_for_an_event() -> None:
    found = due("2018-01-01", "2021-12-31")
    listed = {line.occasion.provision for line in found.lines}
    waiting = {identity for identity, _ in found.waiting}
    for provision in deadlines(PACK):
        assert (provision.id in listed) != (provision.id in waiting), provision.id
        assert (provision.id in waiting) == bool(trigger_facts(PACK, provision))


def test_without_a_ledger_nothing_is_judged() -> None:
    assert {line.status for line in due("2019-05-01", "2019-05-31").lines} == {""}


def test_a_day_before_the_document_was_issued_is_remarked() -> None:
    found = due("2019-02-01", "2019-02-28", prefix="employment.steps")
    assert [remark.zh for remark in found.lines[0].remarks] == ["到期日早于文件印发日 2019-03-22"]


def test_another_reading_of_the_day_is_remarked() -> None:
    (line,) = due("2019-07-10", "2019-07-10", body="州财政局", prefix="notice.report").lines
    assert "2019-07-09" in line.remarks[0].zh


# With a ledger


def entry(matter: str, **given: object) -> Entry:
    return Entry(matter, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("done_on", "as_of", "status"),
    [("2019-07-10", "2019-12-31", "on_time"), ("2019-07-11", "2019-12-31", "late"), (None, "2019-07-10", "pending"),
     (None, "2019-07-11", "overdue")],
)  # fmt: skip
def test_a_deadline(done_on: str | None, as_of: str, status: str) -> None:
    entries = [entry("notice.report.progress", occasion="上半年", body="州财政局",
                     done_on=date.fromisoformat(done_on))] if done_on else []  # fmt: skip
    (line,) = due("2019-07-01", "2019-07-31", as_of, entries, "州财政局", "notice.report.progress").lines
    assert line.status == status


@pytest.mark.parametrize(("day", "status"), [("2019-06-30", "on_time"), ("2019-07-01", "late"), (None, "overdue")])
def test_a_monthly_duty(day: str | None, status: str) -> None:
    entries = [entry("按月向领导小组组长报告", occasion="2019年6月", body="州金融办",
                     done_on=date.fromisoformat(day))] if day else []  # fmt: skip
    found = due("2019-06-01", "2019-06-30", "2019-12-31", entries, "州金融办", "notice.report.monthly")
    assert [line.status for line in found.lines] == [status]


def test_one_of_two_meetings_a_quarter_is_not_enough() -> None:
    matter = "realestate.meeting.quarterly_developers"
    one = [entry(matter, done_on=date(2019, 5, 6))]
    assert [line.status for line in due("2019-06-30", "2019-06-30", "2019-07-01", one, prefix=matter).lines] == [
        "overdue"]  # fmt: skip
    two = [*one, entry(matter, done_on=date(2019, 6, 30))]
    (line,) = due("2019-06-30", "2019-06-30", "2019-07-01", two, prefix=matter).lines
    assert (line.status, line.times) == ("on_time", 2)


def test_a_limit_in_working_days_runs_from_its_event() -> None:
    entries = [entry("fiscal.special_fund.specified_5wd", triggered_on=date(2019, 4, 26), done_on=date(2019, 5, 7),
                     body="州农业农村局", about="3号")]  # fmt: skip
    (line,) = due("2019-05-01", "2019-05-31", "2019-12-31", entries, prefix="fiscal.special").lines
    assert (line.occasion.due, line.status) == (date(2019, 5, 6), "late")


def test_two_months_run_from_their_event() -> None:
    entries = [entry("fiscal.special_fund.prefecture_two_months", facts={"notice_issued_on": date(2018, 12, 31)})]
    (line,) = due("2019-02-01", "2019-03-31", "2019-02-28", entries, prefix="fiscal.special").lines
    assert (line.occasion.due, line.status) == (date(2019, 2, 28), "pending")


def test_a_body_nobody_listed_has_a_line_of_its_own() -> None:
    entries = [
        entry("fiscal.upward.monthly_visit", occasion="2019年6月", body="州教育体育局", done_on=date(2019, 6, 3))
    ]
    found = due("2019-06-30", "2019-06-30", "2019-07-01", entries, "州", "fiscal.upward.monthly_visit")
    assert [(line.occasion.body, line.status) for line in found.lines] == [("州教育体育局", "on_time")]


def test_what_was_done_after_the_day_of_judgement_is_not_known_yet() -> None:
    entries = [entry("notice.report.progress", occasion="上半年", body="州财政局", done_on=date(2019, 7, 9))]
    found = due("2019-07-01", "2019-07-31", "2019-07-08", entries, "州财政局", "notice.report.progress")
    assert [line.status for line in found.lines] == ["pending"]
    assert [problem.code for problem in found.problems] == ["ledger-future"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"matter": "按月报告"}, "ledger-matter"),
        ({"matter": "notice.report.progress", "occasion": "一季度"}, "ledger-body"),
        ({"matter": "notice.report.progress", "occasion": "一季度", "body": "州工业和信息化局"}, "ledger-body"),
        ({"matter": "notice.report.progress", "occasion": "一季度", "body": "州气象局"}, "ledger-body"),
        ({"matter": "notice.report.progress", "body": "州财政局"}, "ledger-occasion"),
        ({"matter": "fiscal.report.monthly_3", "done_on": date(2019, 6, 2)}, "ledger-occasion"),
        ({"matter": "invest.land.work_cycle", "occasion": "2019年6月"}, "ledger-occasion"),
        ({"matter": "fiscal.special_fund.specified_5wd"}, "ledger-trigger"),
        (
            {"matter": "fiscal.special_fund.specified_5wd", "triggered_on": date(1999, 1, 4)},
            "calendar-gap",
        ),
    ],
)
def test_what_could_mean_several_things_is_a_problem(given: dict[str, object], code: str) -> None:
    found = due("2019-01-01", "2020-12-31", "2020-12-31", [Entry(**given)])  # type: ignore[arg-type]
    assert code in [problem.code for problem in found.problems]
    for problem in found.problems:
        assert problem.render("zh")
        assert problem.render("en")


def test_an_entry_given_twice_is_a_problem() -> None:
    twice = [entry("green.copper.talks", done_on=date(2019, 6, day)) for day in (3, 4)]
    assert [problem.code for problem in due("2019-06-01", "2019-06-30", "2019-12-31", twice).problems] == [
        "ledger-twice"]  # fmt: skip


def test_the_example() -> None:
    entries, submission = read_ledger([EXAMPLE], ledger_facts(PACK))
    assert not submission.problems
    assert len(entries) == 9
    found = due("2019-04-01", "2019-05-31", "2019-06-03", entries)
    assert not found.problems
    done = {(line.occasion.provision, line.occasion.body): line.status for line in found.lines if line.done_on}
    assert done["notice.report.progress", "方案七牵头部门（州财政局）"] == "on_time"
    assert done["notice.report.progress", "方案三牵头部门（州金融办）"] == "late"
    assert done["fiscal.special_fund.specified_5wd", "州农业农村局"] == "late"
    may = [line for line in found.lines if line.occasion.due == date(2019, 5, 31) and line.status == "late"]
    assert [line.occasion.body for line in may] == ["方案七牵头部门（州财政局）"]
    assert len(markdown_text(duty_table(PACK, found, "zh")).splitlines()) > len(found.lines)
    assert csv_text([duty_table(PACK, found, "en")]).count("\n") == len(found.lines) + 1
    assert len(duty_data(PACK, found)["duties"]) == len(found.lines)


def test_a_schedule_names_its_faults(tmp_path: Path) -> None:
    for name in ("pack.yaml", "facts.yaml", "parameters.yaml"):
        (tmp_path / name).write_bytes((PACK.folder.parent / "yunling_talent_2026" / name).read_bytes())
    (tmp_path / "provisions").mkdir()
    source = PACK.folder.parent / "yunling_talent_2026" / "provisions" / "procedure.yaml"
    (tmp_path / "provisions" / "procedure.yaml").write_bytes(source.read_bytes())
    (tmp_path / "schedule.yaml").write_text(
        "duties:\n"
        "- {provision: talent.publication.quarterly, every: fortnight}\n"
        "- {provision: talent.publication.quaterly, every: quarter}\n"
        "- {provision: talent.publication.quarterly}\n"
        "- {provision: talent.application.review, every: month}\n"
        "- {provision: talent.publication.quarterly, every: month, with: {round: 3}}\n",
        encoding="utf-8",
    )
    with pytest.raises(PackError) as caught:
        load_schedule(load_pack(tmp_path))
    codes = [problem.code for problem in caught.value.problems]
    assert set(codes) == {
        "unknown-enum-value",
        "unknown-provision",
        "duty-without-period",
        "not-recurring",
        "unknown-name",
    }
