"""The packs a server works with: loaded whole, replaced whole, their provisions found and grouped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engine.cases import WorkedCase, load_cases
from engine.describe import in_order, searched_text
from engine.load import Pack, load_pack
from engine.model import Provision
from engine.values import fold


@dataclass(frozen=True)
class Library:
    """A pack with what the pages look up in it."""

    pack: Pack

    def has(self, identity: str) -> bool:
        """Whether a provision or a dossier is so called here."""
        return identity in self.pack.dossiers or self.pack.find(identity) is not None

    @cached_property
    def plans(self) -> tuple[str, ...]:
        """The plans that have provisions, in the pack's order."""
        held = {provision.citation.plan for provision in self.pack.provisions.values()}
        return tuple(label for label in self.pack.plans.values() if label in held)

    @cached_property
    def bureaus(self) -> tuple[str, ...]:
        """Those who decide, most frequent first."""
        counts: dict[str, int] = {}
        for provision in self.pack.provisions.values():
            if provision.decided_by:
                counts[provision.decided_by] = counts.get(provision.decided_by, 0) + 1
        return tuple(sorted(counts, key=lambda name: (-counts[name], name)))

    @cached_property
    def cases(self) -> dict[str, list[WorkedCase]]:
        """The worked cases of each provision."""
        found: dict[str, list[WorkedCase]] = {}
        for case in load_cases(self.pack):
            found.setdefault(case.provision, []).append(case)
        return found

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {provision.id: searched_text(provision) for provision in self.pack.provisions.values()}

    def find(self, query: str = "", plan: str = "", kind: str = "", bureau: str = "") -> list[Provision]:
        """The provisions that match every word and every filter given, in the pack's order."""
        words = [fold(word) for word in query.split()[:10]]
        return [
            provision
            for provision in self._ordered
            if (not plan or provision.citation.plan == plan or self.pack.plans.get(plan) == provision.citation.plan)
            and (not kind or provision.kind.value == kind)
            and (not bureau or provision.decided_by == bureau)
            and all(word in self._texts[provision.id] for word in words)
        ]

    @cached_property
    def _ordered(self) -> list[Provision]:
        return in_order(self.pack)

    def by_plan(self, provisions: list[Provision]) -> Iterator[tuple[str, list[Provision]]]:
        for plan in self.plans:
            own = [provision for provision in provisions if provision.citation.plan == plan]
            if own:
                yield plan, own


class TwoPacksOneId(Exception):
    """Two packs that could not be told apart."""


def open_library(name: str | Path) -> Library:
    """The pack, read and checked. Errors: `PackError`."""
    library = Library(load_pack(name).load_all())
    _ = library.cases
    return library


def open_libraries(names: Sequence[str | Path]) -> dict[str, Library]:
    """The packs by id, in the order given. Errors: `PackError`, `TwoPacksOneId`."""
    found: dict[str, Library] = {}
    for name in names:
        library = open_library(name)
        if library.pack.id in found:
            raise TwoPacksOneId(library.pack.id)
        found[library.pack.id] = library
    return found
