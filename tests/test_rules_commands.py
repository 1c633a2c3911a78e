"""The commands that look after a pack: output, saved cases and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("z3")

from commands.rules import COMMANDS, show_uncovered
from engine.cases import load_cases
from engine.errors import HeguiError, PackError
from engine.load import load_pack
from facts.reading import read_facts

FAULTY = Path(__file__).parent / "data" / "faulty_packs"


@click.group()
@click.option("--lang", default="en")
@click.option("--pack", default="chuxiong_2019")
@click.pass_context
def main(ctx: click.Context, lang: str, pack: str) -> None:
    def read(files: Any, found: Any) -> Any:
        return read_facts(files, dossiers=found.dossiers, provision=found.find)

    ctx.obj = {"lang": lang, "pack": pack, "read_facts": read}


for command in COMMANDS:
    main.add_command(command)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_verify_prints_the_place_the_words_and_a_case() -> None:
    result = run("verify", str(FAULTY / "cap_exceeded"))
    assert result.exit_code == 1
    assert "rules.yaml:8:5: above-cap:" in result.stdout
    assert "provision: award.interest" in result.stdout
    assert "1 findings" in result.stderr


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_verify_speaks_both_languages(lang: str) -> None:
    result = run("--lang", lang, "verify", str(FAULTY / "cap_exceeded"))
    assert ("超过上限" in result.stdout) is (lang == "zh")


def test_verify_says_nothing_of_a_clean_part() -> None:
    result = run("verify", "--only", "fiscal.budget_cut.")
    assert (result.exit_code, result.stdout) == (0, "")


def test_verify_as_json_holds_places_and_cases() -> None:
    found = json.loads(run("verify", "--format", "json", str(FAULTY / "gap_at_90")).stdout)
    assert found["open"] == 1
    assert found["findings"][0]["code"] == "table-gap"
    assert "raised" in found["findings"][0]["cases"]


def test_the_cases_of_findings_are_saved(tmp_path: Path) -> None:
    saved = tmp_path / "cases.yaml"
    run("verify", "--cases", str(saved), str(FAULTY / "not_monotone"))
    assert saved.read_text(encoding="utf-8").count("- provision: cut.completion") == 2


@pytest.mark.parametrize("arguments", [["verify", "--only", "fiscal.budget.cut"], ["mutate", "fiscal.budget.cut"],
                                       ["diff", "chuxiong_2019", "chuxiong_2019", "--only", "fiscal.budget.cut"]])  # fmt: skip
def test_a_prefix_of_no_provision_is_a_mistake(arguments: list[str]) -> None:
    found = CliRunner().invoke(main, arguments).exception
    assert isinstance(found, PackError)
    assert [problem.code for problem in found.problems] == ["unknown-provision"]


def test_cases_that_cannot_be_saved_are_a_problem(tmp_path: Path) -> None:
    arguments = ["verify", str(FAULTY / "cap_exceeded"), "--cases", str(tmp_path / "none" / "cases.yaml")]
    found = CliRunner().invoke(main, arguments).exception
    assert isinstance(found, HeguiError)
    assert [problem.code for problem in found.problems] == ["unwritable-file"]


def test_diff_of_facts_that_cannot_be_read_is_no_effect_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    pack = str(FAULTY / "cap_exceeded")
    result = run("diff", pack, pack, "--facts", str(tmp_path / "empty.csv"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("file-empty") == 1


def test_diff_of_a_pack_with_itself_is_empty() -> None:
    result = run("diff", "--only", "fiscal.budget_cut.", "chuxiong_2019", "chuxiong_2019")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "same: 4" in result.stderr


def test_diff_shows_both_outcomes_and_the_effect_on_money(tmp_path: Path) -> None:
    new = tmp_path / "new"
    old = FAULTY / "not_monotone"
    for path in old.rglob("*.yaml"):
        place = new / path.relative_to(old)
        place.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8").split("  monotone")[0].replace("< 85%, 8%", "< 85%, 12%")
        place.write_text(text, encoding="utf-8")
    base = tmp_path / "base"
    for path in new.rglob("*.yaml"):
        place = base / path.relative_to(new)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path.read_text(encoding="utf-8").replace("< 85%, 12%", "< 85%, 8%"), encoding="utf-8")
    facts = tmp_path / "facts.yaml"
    facts.write_text(
        "provision: cut.completion\nas_of: 2019-12-31\ninputs: {completion: 50%, budget: 100万元}\n", encoding="utf-8"
    )
    result = run("diff", str(base), str(new), "--facts", str(facts))
    assert result.exit_code == 1
    assert "changed in meaning" in result.stdout
    assert "8% → triggered" in result.stdout
    assert "total 80,000.00 → 120,000.00 yuan (+40,000.00)" in result.stdout
    assert json.loads(run("diff", "--format", "json", str(base), str(new)).stdout)["changes"][0]["kind"] == "changed"


def test_mutate_lists_survivors_and_saves_the_lacking_cases(tmp_path: Path) -> None:
    saved = tmp_path / "cases.yaml"
    result = run("--pack", str(FAULTY / "amount_negative"), "mutate", "--cases", str(saved))
    assert result.exit_code == 1
    assert "no case notices it" in result.stdout
    assert "- provision: award.top_up" in saved.read_text(encoding="utf-8")
    found = json.loads(run("--pack", str(FAULTY / "amount_negative"), "mutate", "--format", "json").stdout)
    assert found["untested"] == ["award.top_up"]


def test_mutate_passes_where_the_cases_notice_enough() -> None:
    result = run("mutate", "fiscal.budget_cut.fundraising_no_task")
    assert result.exit_code == 0
    assert "score 100" in result.stderr


def test_coverage_prints_what_is_left_out_and_saves_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "cases.yaml"
    pack = load_pack(FAULTY / "amount_negative").load_all()
    left = show_uncovered(pack, load_cases(pack), (), "en", saved)
    printed = capsys.readouterr()
    assert left == printed.out.count("award.top_up: ")
    assert f"{left} not" in printed.err
    assert saved.read_text(encoding="utf-8").count("- provision:") == left
