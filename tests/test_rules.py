"""Every shipped pack: loads, its cases pass, its provisions are complete."""

from __future__ import annotations

import re

import pytest

from engine import load_pack, pack_names
from engine.cases import load_cases, run_cases
from engine.model import Provision

PACKS = {name: load_pack(name).load_all() for name in pack_names()}
PROVISIONS = [provision for pack in PACKS.values() for provision in pack.provisions.values()]


@pytest.mark.parametrize("name", PACKS)
def test_every_case_passes(name: str) -> None:
    pack = PACKS[name]
    cases = load_cases(pack)
    failed = [f"{result.case.at}: {result.case.label.zh}: {result.differences}"
              for result in run_cases(pack, cases) if result.differences]
    assert not failed, "\n".join(failed[:20])
    assert cases


@pytest.mark.parametrize("name", PACKS)
def test_every_provision_has_cases(name: str) -> None:
    pack = PACKS[name]
    assert set(pack.ids) == {case.provision for case in load_cases(pack)}


def test_the_first_pack_covers_its_whole_policy() -> None:
    kinds: dict[str, int] = {}
    for provision in PACKS["chuxiong_2019"].provisions.values():
        kinds[provision.kind.value] = kinds.get(provision.kind.value, 0) + 1
    assert kinds == {"entitlement": 49, "sanction": 18, "deadline": 25, "obligation": 73, "prohibition": 25,
                     "target": 70, "parameter": 24}  # fmt: skip
    assert len(load_cases(PACKS["chuxiong_2019"])) >= 1012


@pytest.mark.parametrize("provision", PROVISIONS, ids=lambda provision: provision.id)
def test_a_provision_says_where_it_stands_and_in_both_languages(provision: Provision) -> None:
    assert provision.citation.document
    assert provision.citation.plan
    assert provision.citation.path
    for text in (provision.label, provision.summary):
        assert re.search(r"[\u4e00-\u9fff]", text.zh), text
        assert text.en
        assert not re.search(r"[\u4e00-\u9fff]", provision.label.en)
    for field in provision.facts.values():
        assert re.search(r"[\u4e00-\u9fffA-Z]", field.label.zh), field.name
        for choice in field.choices:
            assert choice.label.zh
    for reading in provision.readings:
        assert reading.point.zh
        assert reading.chosen.zh
        assert reading.why.zh
