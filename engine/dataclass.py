"""Dataclasses that are made fast: `from engine.dataclass import dataclass`.

The standard library compiles the methods of a dataclass as source, when the class is made, and many classes
are made before a first file is read. Here only `__init__` is, from as little source as it takes; comparing,
hashing and showing are the same closures for every class.
What they mean stays that of `dataclasses`, but for `frozen`: it holds by type checking (mypy), not while
running, and makes instances comparable and hashable by their fields. `InitVar`, `ClassVar` and `kw_only` are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses
    from dataclasses import MISSING
    from operator import attrgetter

    def dataclass(cls=None, /, *, frozen=False, slots=False, order=False):
        """As `dataclasses.dataclass`; see above for `frozen`."""
        if cls is None:
            return lambda cls: dataclass(cls, frozen=frozen, slots=slots, order=order)
        own = set(vars(cls))
        cls.__doc__ = cls.__doc__ or cls.__qualname__  # else the standard library inspects the class to write one
        made = dataclasses.dataclass(init=False, repr=False, eq=order, order=order, slots=slots)(cls)
        fields = dataclasses.fields(made)
        if len(fields) < len(made.__dataclass_fields__) or any(field.kw_only for field in fields):
            raise TypeError(f"{made.__qualname__}: InitVar, ClassVar and kw_only need the standard library's dataclass")
        values = _values([field.name for field in fields if field.compare])

        def same(self, other):
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        def hashed(self):
            return hash(values(self))

        if "__init__" not in own:
            made.__init__ = _init(made, fields)
        if "__eq__" not in own:
            made.__eq__ = same
        if "__hash__" not in own:
            made.__hash__ = hashed if frozen else None
        if "__repr__" not in own:
            made.__repr__ = _shown
        return made

    def _init(made, fields):
        """The method that sets the attributes, its arguments in the order of the fields."""
        known, parameters, lines = {"MISSING": MISSING}, ["self"], []
        for field in fields:
            name = parameter = value = field.name
            absent = ""
            if field.default is not MISSING:
                absent = f"default_{name}"
                known[absent], parameter = field.default, f"{name}={absent}"
            elif field.default_factory is not MISSING:
                known[f"make_{name}"], parameter = field.default_factory, f"{name}=MISSING"
                absent = f"make_{name}()"
                value = f"{absent} if {name} is MISSING else {name}"
            if field.init:
                parameters.append(parameter)
            if field.init or absent:
                lines.append(f"self.{name} = {value if field.init else absent}")
        if hasattr(made, "__post_init__"):
            lines.append("self.__post_init__()")
        exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines or ["pass"]), known)
        init = known["__init__"]
        init.__qualname__ = f"{made.__qualname__}.__init__"
        return init

    def _values(names):
        """What tells two instances apart: the values of these attributes, in a tuple."""
        if len(names) > 1:
            return attrgetter(*names)
        value = attrgetter(*names) if names else type
        return lambda one: (value(one),)

    def _shown(self):
        parts = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
        return f"{type(self).__qualname__}({', '.join(parts)})"
