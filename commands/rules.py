"""The commands that look after a pack: `hegui rules verify`, `diff`, `mutate`, and coverage for `test`.

Options, exit codes and printing only. Results go to stdout, progress and summaries to stderr. Exit
codes: 0 nothing found, 1 something found, 2 a pack or file that could not be read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from engine.errors import Lang

FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Output format / 输出格式.",
)


def _lang(ctx: click.Context) -> Lang:
    found: Lang = ctx.find_root().obj["lang"]
    return found


def _pack_name(ctx: click.Context, name: str | None) -> str:
    return name or str(ctx.find_root().obj["pack"])


def _check_prefixes(prefixes: Sequence[str], *packs: Any) -> None:
    """Every prefix begins the id of a provision. Errors (`PackError`): `unknown-provision`."""
    from engine.errors import PackError, Problem, nearest

    ids = [identity for pack in packs for identity in pack.ids]
    unknown = [prefix for prefix in prefixes if not any(identity.startswith(prefix) for identity in ids)]
    if unknown:
        raise PackError(
            [
                Problem("unknown-provision", fields={"id": prefix, "suggestion": nearest(prefix, ids) or ""})
                for prefix in unknown
            ]
        )


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """The provision being looked at, on a terminal only; cleared at the end."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    done = 0

    def show(identity: str) -> None:
        nonlocal done
        done += 1
        click.echo(f"\r\x1b[K{done}/{total} {identity[:60]}", nl=False, err=True)

    try:
        yield show
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)


def _save(path: Path, texts: Sequence[str]) -> None:
    """Cases for a pack's `cases/`; the file replaces an older one only when whole."""
    from engine.files import replacing

    with replacing(path) as temporary:
        temporary.write_text("\n".join(text for text in texts if text) + "\n", encoding="utf-8")


# verify


@click.command("verify")
@click.argument("pack_name", metavar="[PACK]", required=False)
@click.option("--only", multiple=True, metavar="ID-PREFIX", help="Only these provisions / 只查这些条款.")
@click.option("--all", "show_all", is_flag=True, help="Also what the pack explains / 连同已说明的.")
@click.option(
    "--cases",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Save the cases that show the findings / 把示例案例存为文件.",
)
@FORMAT
@click.pass_context
def verify_command(
    ctx: click.Context, pack_name: str | None, only: tuple[str, ...], show_all: bool, cases: Path | None, form: str
) -> None:
    """Prove that a pack has no hole, or show where / 检查规则漏洞."""
    from engine.verify import load_for_verification, verify

    lang = _lang(ctx)
    pack = load_for_verification(_pack_name(ctx, pack_name))
    _check_prefixes(only, pack)
    with _progress(len(pack.ids)) as show:
        report = verify(pack, only, show)
    shown = report.findings if show_all else report.open
    if form == "json":
        click.echo(
            json.dumps(
                {
                    "pack": pack.id,
                    "provisions": report.provisions,
                    "questions": report.questions,
                    "open": len(report.open),
                    "findings": [finding.to_dict() for finding in shown],
                },
                ensure_ascii=False,
                indent=2,
            )
        )
    else:
        for finding in shown:
            click.echo(finding.problem.render(lang))
            if finding.explained is not None:
                click.echo(f"{'说明' if lang == 'zh' else 'explained'}: {finding.explained.get(lang)}")
            if finding.cases:
                click.echo(_indented(finding.cases_text(lang)))
            click.echo("")
    if cases is not None:
        _save(cases, [finding.cases_text(lang) for finding in shown])
    explained = len(report.findings) - len(report.open)
    click.echo(
        f"{pack.id}：{report.provisions} 条条款，{report.questions} 个问题，{len(report.open)} 处发现，"
        f"{explained} 处已由规则包说明"
        if lang == "zh"
        else f"{pack.id}: {report.provisions} provisions, {report.questions} questions, {len(report.open)} findings, "
        f"{explained} explained by the pack",
        err=True,
    )
    ctx.exit(1 if report.open else 0)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


# diff


@click.command("diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--only", multiple=True, metavar="ID-PREFIX", help="Only these provisions / 只比这些条款.")
@click.option(
    "--facts",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Effect on money for these facts / 按这些事实算出金额变化.",
)
@click.option("--all", "show_all", is_flag=True, help="Also provisions without a change / 连同未变的.")
@FORMAT
@click.pass_context
def diff_command(
    ctx: click.Context, old: str, new: str, only: tuple[str, ...], files: tuple[Path, ...], show_all: bool, form: str
) -> None:
    """Which provisions changed in meaning, with a case for each / 比较两个规则包."""
    from engine.load import load_pack
    from engine.pack_diff import SAME, compare_packs

    lang = _lang(ctx)
    before, after = load_pack(old).load_all(), load_pack(new).load_all()
    _check_prefixes(only, before, after)
    effect, unread = _effect(before, after, files, lang, _read_facts) if files else (None, False)
    if unread:
        ctx.exit(2)
    with _progress(len(after.ids)) as show:
        changes = compare_packs(before, after, only, show)
    shown = [change for change in changes if show_all or change.kind != SAME]
    if form == "json":
        click.echo(
            json.dumps(
                {
                    "old": before.id,
                    "new": after.id,
                    "changes": [_change_data(item) for item in shown],
                    "money": None if effect is None else _effect_data(effect),
                },
                ensure_ascii=False,
                indent=2,
            )
        )
    else:
        for change in shown:
            click.echo("\n".join(_change_lines(change, lang)))
        if effect is not None:
            click.echo("\n".join(_effect_lines(effect, lang)))
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.kind] = counts.get(change.kind, 0) + 1
    click.echo(
        "，".join(f"{_KINDS[kind][0]} {number}" for kind, number in counts.items())
        if lang == "zh"
        else ", ".join(f"{_KINDS[kind][1]}: {number}" for kind, number in counts.items()),
        err=True,
    )
    ctx.exit(1 if any(change.kind not in ("same", "reworded") for change in changes) else 0)


_KINDS = {
    "same": ("未变", "same"), "reworded": ("措辞有变、含义已证相同", "reworded, proved to mean the same"),
    "changed": ("含义有变", "changed in meaning"), "facts": ("事实有变、共同范围内含义已证相同",
                                                         "other facts, proved the same where both accept the case"),
    "added": ("新增", "added"), "removed": ("删除", "removed"), "open": ("未能判定", "not settled"),
}  # fmt: skip


def _change_lines(change: Any, lang: Lang) -> list[str]:
    from engine.findings import outcome_text
    from engine.witness import inputs_text

    lines = [f"{change.provision}: {_KINDS[change.kind][lang == 'en']}"]
    if change.words:
        lines[0] += f" ({', '.join(change.words)})"
    if change.reason:
        lines.append(f"    {change.reason}")
    lines += [f"    {text}" for text in change.facts]
    if change.case is not None:
        first, second = change.case
        facts = {**second.values, **first.values}
        provision = first.provision if len(first.provision.facts) >= len(second.provision.facts) else second.provision
        lines.append(f"    {inputs_text(provision, facts)}")
        lines.append(f"    {outcome_text(first.outcome, lang)} → {outcome_text(second.outcome, lang)}")
    return lines


def _change_data(change: Any) -> dict[str, Any]:
    from engine.witness import case_text

    found: dict[str, Any] = {
        "provision": change.provision,
        "kind": change.kind,
        "facts": list(change.facts),
        "words": list(change.words),
        "reason": change.reason,
    }
    if change.case is not None:
        found["old_case"], found["new_case"] = (case_text(case, "differs") for case in change.case)
    return found


def _effect(
    before: Any, after: Any, files: Sequence[Path], lang: Lang, read_facts: Callable[..., Any]
) -> tuple[Any, bool]:
    """The effect on money, and whether nothing could be read.

    `read_facts(files, pack)` reads what was submitted, which is not the engine's to know.
    """
    from engine.pack_diff import money_effect

    submissions = tuple(read_facts(files, pack) for pack in (before, after))
    texts = (problem.render(lang) for submission in submissions for problem in submission.problems)
    for text in dict.fromkeys(texts):  # most are problems of the file, under either pack
        click.echo(text, err=True)
    if not any(submission.cases or submission.flat for submission in submissions):
        return None, True
    days = tuple(
        submission.as_of or pack.reference_date for submission, pack in zip(submissions, (before, after), strict=True)
    )
    return money_effect(before, after, submissions, days), False


def _effect_lines(effect: Any, lang: Lang) -> list[str]:
    from engine.values import money_text

    def text(fen: int | None) -> str:
        return ("未定" if lang == "zh" else "open") if fen is None else money_text(fen)

    lines = [
        f"{item.subject}: {text(item.old)} → {text(item.new)}"
        + (f" ({'+' if item.change > 0 else ''}{money_text(item.change)})" if item.change is not None else "")
        for item in effect.effects
        if item.change != 0
    ]
    unchanged = sum(item.change == 0 for item in effect.effects)
    change = f"{'+' if effect.change > 0 else ''}{money_text(effect.change)}"
    if lang == "zh":
        lines.append(
            f"合计 {money_text(effect.total_old)} → {money_text(effect.total_new)} 元（{change}）；"
            f"{unchanged} 个对象不变，{effect.left_out} 个未定不计入合计"
        )
    else:
        lines.append(
            f"total {money_text(effect.total_old)} → {money_text(effect.total_new)} yuan ({change}); "
            f"{unchanged} subjects unchanged, {effect.left_out} open and left out of the total"
        )
    return lines


def _effect_data(effect: Any) -> dict[str, Any]:
    from engine.values import yuan_text

    def text(fen: int | None) -> str | None:
        return None if fen is None else yuan_text(fen)

    return {
        "total_old": text(effect.total_old),
        "total_new": text(effect.total_new),
        "change": text(effect.change),
        "left_out": effect.left_out,
        "subjects": [
            {"subject": item.subject, "old": text(item.old), "new": text(item.new), "change": text(item.change)}
            for item in effect.effects
        ],
    }


# mutate


@click.command("mutate")
@click.argument("prefixes", nargs=-1, metavar="[ID-PREFIX]...")
@click.option(
    "--cases",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Save the cases that would kill the survivors / 把能识别变异的案例存为文件.",
)
@click.option(
    "--least",
    type=click.FloatRange(0, 100),
    default=98,
    show_default=True,
    metavar="PERCENT",
    help="Exit 1 below this score / 低于此分则退出码为 1.",
)
@FORMAT
@click.pass_context
def mutate_command(ctx: click.Context, prefixes: tuple[str, ...], cases: Path | None, least: float, form: str) -> None:
    """Whether the worked cases notice small wrong changes / 案例能否识别规则的细小改动."""
    from engine.cases import load_cases
    from engine.load import load_pack
    from engine.mutation import mutate
    from engine.values import decimal_text

    lang = _lang(ctx)
    pack = load_pack(_pack_name(ctx, None)).load_all()
    _check_prefixes(prefixes, pack)
    with _progress(len(pack.ids)) as show:
        report = mutate(pack, load_cases(pack), prefixes, show)
    score = decimal_text(report.score * 100, 2)
    if form == "json":
        click.echo(
            json.dumps(
                {
                    "pack": pack.id,
                    "score_percent": score,
                    "mutants": len(report.results),
                    "killed": report.count("killed"),
                    "equivalent": report.count("equivalent"),
                    "untested": list(report.untested),
                    "survivors": [_survivor_data(item) for item in report.survivors],
                },
                ensure_ascii=False,
                indent=2,
            )
        )
    else:
        for item in report.survivors:
            click.echo("\n".join(_survivor_lines(item, lang)))
    if cases is not None:
        _save(cases, [text for item in report.survivors if (text := _survivor_case(item))])
    left = len(report.survivors)
    click.echo(
        f"{pack.id}：{len(report.results)} 个变异，识别 {report.count('killed')}，等价 {report.count('equivalent')}，"
        f"存活 {left}，得分 {score}%"
        if lang == "zh"
        else f"{pack.id}: {len(report.results)} mutants, {report.count('killed')} killed, "
        f"{report.count('equivalent')} proved equivalent, {left} survive, score {score}%",
        err=True,
    )
    ctx.exit(1 if report.score * 100 < least else 0)


def _survivor_case(item: Any) -> str:
    from engine.witness import case_text

    if item.lacking is None:
        return ""
    label = f"{item.mutant.before} is not {item.mutant.after}"
    return case_text(item.lacking, label, f"{item.mutant.at.file}:{item.mutant.at.line}")


def _survivor_lines(item: Any, lang: Lang) -> list[str]:
    words = {"survived": ("没有案例能识别", "no case notices it"), "open": ("未能判定", "not settled")}
    change = f"`{item.mutant.before}` → `{item.mutant.after}`"
    line = f"{item.mutant.at}: {item.mutant.provision}: {change}: {words[item.verdict][lang == 'en']}"
    text = _survivor_case(item)
    return [line, _indented(text)] if text else [line]


def _survivor_data(item: Any) -> dict[str, Any]:
    return {
        "provision": item.mutant.provision,
        "place": str(item.mutant.at),
        "kind": item.mutant.kind,
        "before": item.mutant.before,
        "after": item.mutant.after,
        "verdict": item.verdict,
        "case": _survivor_case(item),
    }


# Coverage, for `test`


COVERAGE = click.option(
    "--coverage", "show_coverage", is_flag=True, help="What no case reaches, with a case that would / 案例未覆盖之处."
)
SAVE_COVERAGE = click.option(
    "--save",
    "saved",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Save the suggested cases / 把建议的案例存为文件.",
)


def show_uncovered(
    pack: Any, cases: Sequence[Any], prefixes: Sequence[str], lang: Lang, saved: Path | None = None
) -> int:
    """Prints what the cases leave out and, on stderr, how much they reach; returns the number left out."""
    from engine.coverage import measure_coverage

    with _progress(len(pack.ids)) as show:
        report = measure_coverage(pack, cases, prefixes, show)
    for item in report.uncovered:
        click.echo(f"{item.goal.at}: {item.provision}: {item.message(lang)}")
        if item.case is not None:
            click.echo(_indented(item.case_text()))
    if saved is not None:
        _save(saved, [item.case_text() for item in report.uncovered])
    possible = report.goals - report.impossible
    click.echo(
        f"覆盖：{possible} 处可达，{report.reached} 处已有案例，{len(report.uncovered)} 处没有；"
        f"另有 {report.impossible} 处已证不可达"
        if lang == "zh"
        else f"coverage: {report.reached} of {possible} goals reached, {len(report.uncovered)} not; "
        f"{report.impossible} more are proved to have no case",
        err=True,
    )
    return len(report.uncovered)


COMMANDS = (verify_command, diff_command, mutate_command)
"""What the command line adds to its `rules` group."""


@click.command("test")
@click.argument("prefixes", nargs=-1, metavar="[ID-PREFIX]...")
@COVERAGE
@SAVE_COVERAGE
@click.pass_context
def test_command(ctx: click.Context, prefixes: tuple[str, ...], show_coverage: bool, saved: Path | None) -> None:
    """Run the pack's worked cases / 运行规则包的全部案例."""
    from engine.cases import load_cases, run_cases
    from engine.load import load_pack

    lang = _lang(ctx)
    pack = load_pack(_pack_name(ctx, None)).load_all()
    cases = [case for case in load_cases(pack) if not prefixes or case.provision.startswith(prefixes)]
    failed = 0
    for result in run_cases(pack, cases):
        if result.differences:
            failed += 1
            click.echo(f"{result.case.at}: {result.case.provision}: {result.case.label.get(lang)}")
            for difference in result.differences:
                click.echo(f"    {difference}")
    provisions = len({case.provision for case in cases})
    passed = len(cases) - failed
    click.echo(
        f"{pack.id}：{provisions} 条条款，{len(cases)} 个案例，{passed} 个通过，{failed} 个不符"
        if lang == "zh"
        else f"{pack.id}: {provisions} provisions, {len(cases)} cases, {passed} passed, {failed} failed"
    )
    left_out = show_uncovered(pack, cases, prefixes, lang, saved) if show_coverage else 0
    ctx.exit(1 if failed or not cases or left_out else 0)


def _read_facts(files: Sequence[Path], pack: Any) -> Any:
    from facts.reading import read_facts

    return read_facts(files, dossiers=pack.dossiers, provision=pack.find)
