"""Dataclasses that are made fast: `from engine.dataclass import dataclass`.

Of the methods the standard library writes for a dataclass, each compiled as source, only `__init__`
is left to it; comparing, hashing and showing are the same closures for every class. Many classes are
made before a first file is read.
What they mean stays that of `dataclasses`, but for `frozen`: it holds by type checking (mypy), not while
running, and makes instances comparable and hashable by their fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses
    from operator import attrgetter

    def dataclass(cls=None, /, *, frozen=False, slots=False, order=False):
        """As `dataclasses.dataclass`; see above for `frozen`."""
        if cls is None:
            return lambda cls: dataclass(cls, frozen=frozen, slots=slots, order=order)
        own = set(vars(cls))
        made = dataclasses.dataclass(repr=False, eq=order, order=order, slots=slots)(cls)
        fields = dataclasses.fields(made)
        values = _values([field.name for field in fields if field.compare])

        def same(self, other):
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        def hashed(self):
            return hash(values(self))

        if "__eq__" not in own:
            made.__eq__ = same
        if "__hash__" not in own:
            made.__hash__ = hashed if frozen else None
        if "__repr__" not in own:
            made.__repr__ = _shown
        return made

    def _values(names):
        """What tells two instances apart: the values of these attributes, in a tuple."""
        if len(names) > 1:
            return attrgetter(*names)
        value = attrgetter(*names) if names else type
        return lambda one: (value(one),)

    def _shown(self):
        parts = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
        return f"{type(self).__qualname__}({', '.join(parts)})"
