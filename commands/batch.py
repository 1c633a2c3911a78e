"""`hegui batch`: the command line of `facts.batch`."""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from commands.asked import asked_day, asked_pack
from commands.results import report_problems
from engine.errors import FactError, Lang


def _size(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """An amount of memory as DuckDB reads it."""
    if text is not None and not re.fullmatch(r"[0-9]+(\.[0-9]+)? ?([KMGT]i?)?B", text, re.IGNORECASE):
        raise click.BadParameter(f"{text}: 4GB, 512MB")
    return text


@click.command("batch")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path),
              help="File (.csv .jsonl .parquet .xlsx), or a folder for several inputs / 输出文件或文件夹.")
@click.option("--provision", "provisions", multiple=True, metavar="ID",
              help="Assess each row under this provision; may be repeated / 逐行按此条款核算，可重复.")
@click.option("--record", help="What the rows are (a dossier's record), where not recognised / 指定表格内容.")
@click.option("--as-of", metavar="DATE", help="Day of assessment / 基准日 (default: today, which is printed).")
@click.option("--shape", type=click.Choice(["long", "wide"]), default="long", show_default=True,
              help="One row a submission and provision, or one row a submission / 长表或宽表.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl", "parquet", "xlsx"]), default="csv",
              show_default=True, help="Format of the results in an output folder / 输出文件夹中的格式.")
@click.option("--engine", type=click.Choice(["polars", "duckdb", "spark"]), default="polars", show_default=True,
              help="What evaluates the rows / 计算引擎.")
@click.option("--memory-limit", metavar="SIZE", callback=_size,
              help="Memory for DuckDB, and for joining related files, such as 4GB / DuckDB（含关联文件合并）内存上限.")
@click.option("--master", metavar="URL", help="Spark's master (default local[2]) / Spark 主节点.")
@click.option("--problems", type=click.Path(path_type=Path, dir_okay=False),
              help="Where problems go, .csv or .xlsx (default: beside the output) / 问题清单.")
@click.option("--annotate", is_flag=True,
              help="Also a copy of a workbook with its faulty cells marked / 另存标出错误单元格的副本.")
@click.option("--together", is_flag=True,
              help="The inputs are one submission, joined by their keys / 各文件是同一次提交，按主键合并.")
@click.option("--resume", is_flag=True, help="Skip inputs of a folder that are already done / 跳过已完成的文件.")
@click.pass_context
def batch(ctx: click.Context, inputs: tuple[Path, ...], output: Path, provisions: tuple[str, ...], record: str | None,
          as_of: str | None, shape: str, form: str, engine: str, memory_limit: str | None, master: str | None,
          problems: Path | None, annotate: bool, together: bool, resume: bool) -> None:
    """Assess large files: every row, in order, nothing lost / 批量核算大文件 (csv, xlsx, jsonl, parquet)."""
    from engine.evaluate.sql_run import engine_named
    from facts.batch import Batch, Options, Summary
    from facts.batch_folder import Folder, expand

    lang: Lang = ctx.obj["lang"]
    pack = asked_pack(ctx)
    day = asked_day(lang, as_of)
    options = Options(provisions, record, day, shape, lang, annotate,
                      engine=lambda: engine_named(engine, memory_limit, master))
    files, left = expand(inputs)
    if left:
        names = ("、" if lang == "zh" else ", ").join(f"{one}/" if one.is_dir() else str(one) for one in left)
        click.echo(f"没有读：{names}" if lang == "zh" else f"not read: {names}", err=True)
    many = not together and (len(files) > 1 or output.is_dir() or any(path.is_dir() for path in inputs))
    if many and problems is not None:
        raise click.UsageError(
            "--problems is one file; of several inputs the problems go beside each one's results" if lang == "en"
            else "--problems 只是一个文件；输入有多个时，问题清单放在各自的结果旁边")
    _use_memory_again()
    run = Batch(pack, options)
    total = Summary()
    failed = 0
    _end_in_order()
    try:
        folder = Folder(output, form, {
            "pack": pack.digest, "provisions": provisions, "record": record, "as_of": day.isoformat(), "shape": shape,
            "lang": lang}, files) if many else None
        for path in files[:1] if together else files:
            target = folder.target(path) if folder is not None else output
            if folder is not None and resume and folder.is_done(path):
                click.echo(f"{path}: 已完成，略过" if lang == "zh" else f"{path}: done before, skipped", err=True)
                continue
            beside = problems or target.with_name(f"{target.stem}.problems.csv")
            try:
                own = files if together else [path]
                with _Bar(own, lang) if sys.stderr.isatty() else nullcontext() as bar:
                    progress = bar.update if bar is not None else None
                    summary = (run.run_together(files, target, beside, progress) if together
                               else run.run(path, target, beside, progress,
                                            folder.marked(path) if folder is not None else None))
                    if bar is not None:
                        bar.finish(summary.rows_in)
            except FactError as error:
                failed += 1
                report_problems(error.problems, lang)
                continue
            if folder is not None:
                folder.done(path)
                click.echo(_account(path.name, summary, lang), err=True)
            for text in summary.remarks:
                click.echo(text.get(lang), err=True)
            total.merge(summary)
            if summary.problems_in_all:
                click.echo((f"问题 {summary.problems_in_all} 个，见 {beside}" if lang == "zh"
                            else f"{summary.problems_in_all} problems, see {beside}"), err=True)
    finally:
        run.close()
    click.echo(_account("合计" if lang == "zh" else "in all", total, lang), err=True)
    for line in _results(pack, total, lang):
        click.echo(line, err=True)
    ctx.exit(2 if failed or total.rejected.total() else 0)


def _end_in_order() -> None:
    """Where the process is told to stop, what is half written is removed, as when it is interrupted."""
    import signal

    def stop(signalled: int, _: object) -> None:
        raise SystemExit(128 + signalled)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # `nohup` has it ignored
            signal.signal(number, stop)


def _use_memory_again() -> None:
    """Has the C library keep what a block has freed for the next one, where it is glibc (`mallopt(3)`).

    By default each large piece goes back to the system, and the pages of the next one are made and cleared anew.
    """
    import ctypes

    trim_threshold, mmap_threshold = -1, -3
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(mmap_threshold, 32 << 20)
    mallopt(trim_threshold, 16 << 20)


class _Bar:
    """A progress bar with rows per second, on stderr; for a terminal."""

    def __init__(self, paths: list[Path], lang: Lang) -> None:
        self.rows, self.size, self.lang = 0, max(1, sum(path.stat().st_size for path in paths)), lang
        self.bar: Any = click.progressbar(length=self.size, label=paths[0].name, file=sys.stderr, width=30,
                                          item_show_func=lambda _: self._shown())

    def __enter__(self) -> _Bar:
        import time

        self.start = time.perf_counter()
        self.bar.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.bar.__exit__(*error)

    def _shown(self) -> str:
        import time

        rate = self.rows / max(1e-9, time.perf_counter() - self.start)
        row, per_second = ("行", "行/秒") if self.lang == "zh" else ("rows", "rows/s")
        return f"{self.rows:,} {row}, {rate:,.0f} {per_second}"

    def update(self, rows: int, size: int) -> None:
        self.rows += rows
        self.bar.update(size, self.rows)

    def finish(self, rows: int) -> None:
        """All is done: a heading is no row, and a workbook is read in one go."""
        self.rows = rows
        self.bar.update(max(0, self.size - self.bar.pos), rows)


def _account(name: str, summary: Any, lang: Lang) -> str:
    from facts.tally import kinds_shown

    rejected, skipped = kinds_shown(summary.rejected, lang), kinds_shown(summary.skipped, lang)
    rate = f"{summary.rows_in / summary.seconds:,.0f}" if summary.seconds else "—"
    if lang == "zh":
        return (f"{name}：读入 {summary.rows_in} 行 = 已评 {summary.evaluated}"
                f" + 退回 {summary.rejected.total()}{rejected} + 略过 {summary.skipped.total()}{skipped}；{rate} 行/秒")
    return (f"{name}: {summary.rows_in} rows in = {summary.evaluated} evaluated + {summary.rejected.total()} rejected"
            f"{rejected} + {summary.skipped.total()} skipped{skipped}; {rate} rows/s")


def _results(pack: Any, summary: Any, lang: Lang) -> list[str]:
    """Per provision: how many of each status, and the sum of the amounts."""
    from engine.kinds import LABELS
    from engine.values import money_text

    lines = []
    for identity, counts in summary.sums.statuses.items():
        shown = ("，" if lang == "zh" else ", ").join(
            f"{LABELS[status].get(lang)} {count}" for status, count in counts.most_common())
        shown = shown or ("没有一行涉及" if lang == "zh" else "arises for no row")
        amount = summary.sums.money.get(identity, {}).get("amount")
        money = "" if amount is None else (f"；金额合计 {money_text(amount)} 元" if lang == "zh"
                                            else f"; total {money_text(amount)} yuan")
        lines.append(f"  {pack.provision(identity).label.get(lang)}{'：' if lang == 'zh' else ': '}{shown}{money}")
    return lines


