"""Lists of missing facts by place: a batch has few different ones, and texts for each row would take up room.

A column of lists holds for each row the place of its list, null where nothing is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock

import polars as pl

from engine.evaluate.naming import missing_column

MANY = 1 << 12
"""Lists of names from which on those that do not occur are left out."""


class Listings:
    """The lists of missing facts that came up, one text each, by place. Safe to use from several threads."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._places: dict[str, int] = {}
        self._lock = Lock()

    def of(self, flags: pl.DataFrame, names: Iterable[str]) -> pl.Series:
        """The place of each row's list: the names of which the flag is set, in order, joined by a blank."""
        codes = pl.Series([0], dtype=pl.UInt32).new_from_index(0, flags.height)
        lists: list[tuple[str, ...]] = [()]
        for name in sorted(names):
            flag = flags.get_column(missing_column(name))
            if not flag.any():
                continue
            if flag.null_count():
                flag = flag.fill_null(False)
            if flag.all():
                lists = [(*one, name) for one in lists]
            else:
                codes = codes * 2 + flag.cast(pl.UInt32)
                lists = [both for one in lists for both in (one, (*one, name))]
            if len(lists) > MANY:
                occurring = codes.unique(maintain_order=True)
                lists = [lists[code] for code in occurring]
                codes = _renumbered(codes, occurring, pl.int_range(len(lists), dtype=pl.UInt32, eager=True))
        if len(lists) == 1:
            return pl.Series([self.place(lists[0])], dtype=pl.UInt32).new_from_index(0, flags.height)
        occurring = codes.unique()
        return _renumbered(codes, occurring, self._known([" ".join(lists[code]) for code in occurring]))

    def place(self, names: Iterable[str]) -> int:
        """The place of one list."""
        return int(self._known([" ".join(names)])[0])

    def places(self, texts: pl.Series) -> pl.Series:
        """The place of each text."""
        distinct = texts.unique()
        return self._known(distinct.to_list()).gather(texts.cast(pl.Enum(distinct)).to_physical())

    def _known(self, texts: Sequence[str]) -> pl.Series:
        """The places of some texts, each of which gets one."""
        with self._lock:
            for text in texts:
                if text not in self._places:
                    self._places[text] = len(self.all)
                    self.all.append(text)
            return pl.Series([self._places[text] for text in texts], dtype=pl.UInt32)

    def texts(self, places: pl.Series, separator: str = " ") -> pl.Series:
        """The lists at some places, null where there is none."""
        if places.null_count() == places.len():
            return pl.Series(places.name, [None], dtype=pl.String).new_from_index(0, places.len())
        texts = pl.Series(self.all, dtype=pl.String).str.replace_all(" ", separator, literal=True)
        return texts.gather(places).alias(places.name)


def _renumbered(codes: pl.Series, old: pl.Series, new: pl.Series) -> pl.Series:
    """Codes with new numbers for the old ones, which are all that occur."""
    table = pl.Series([0], dtype=pl.UInt32).new_from_index(0, int(old.max()) + 1)  # type: ignore[arg-type]  # a code
    return table.scatter(old, new).gather(codes)


__all__ = ["Listings"]
