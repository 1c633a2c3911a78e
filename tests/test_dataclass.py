"""`engine.dataclass` means what `dataclasses` means, but for when `frozen` is looked after."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import InitVar, field, replace
from typing import Any, ClassVar

import pytest

from engine.dataclass import dataclass as quick

MAKERS = {"standard": dataclasses.dataclass, "quick": quick}


@quick(frozen=True, slots=True)
class Pickled:
    """Pickling looks a class up in its module."""

    name: str
    parts: tuple[int, ...] = ()


def _classes(make: Any) -> tuple[type, ...]:
    @make(frozen=True, slots=True)
    class Empty:
        """No field."""

    @make(frozen=True, slots=True)
    class One:
        of: Any

    @make(frozen=True, slots=True)
    class Two:
        left: Any
        right: Any = 7
        at: str = field(default="here", compare=False, repr=False)

    @make(frozen=True)
    class Checked:
        number: int
        double: int = 0

        def __post_init__(self) -> None:
            object.__setattr__(self, "double", self.number * 2)

    @make(frozen=True, slots=True, order=True)
    class Ordered:
        year: int
        quarter: int

    @make
    class Open:
        many: list[int] = field(default_factory=list)

    @make
    class Filled:
        name: str
        many: list[int] = field(default_factory=list)
        joins: list[str] = field(default_factory=list, init=False)
        state: str = field(default="new", init=False)
        late: int = field(init=False)

        def __post_init__(self) -> None:
            self.late = len(self.name)

    return Empty, One, Two, Checked, Ordered, Filled, Open


def _told(make: Any) -> list[Any]:
    empty, one, two, checked, ordered, filled, open_ = _classes(make)
    nan = float("nan")
    instances = [empty(), one(1), one(True), one((1,)), one(nan), two(1), two(1, 7, "there"), two(right=1, left=2),
                 checked(3), checked(number=3), ordered(2019, 1), ordered(2019, 2), filled("ab"), filled("ab", [1]), open_(), open_([1])]
    equal = [[a == b for b in instances] for a in instances]
    hashes = [[hash(a) == hash(b) if a == b else None for b in instances[:-4]] for a in instances[:-4]]
    shown = [repr(a).replace(f"{make.__module__}", "") for a in instances]
    return [equal, hashes, shown, ordered(2019, 1) < ordered(2019, 2), sorted([ordered(3, 1), ordered(2, 9)])[0].year,
            repr(replace(two(1), left=5)), [f.name for f in dataclasses.fields(two)], two.__match_args__,
            dataclasses.asdict(two(1)), hash(two(1)) == hash(two(1, 7, "elsewhere")), checked(4).double,
            copy.deepcopy(two([1])) == two([1]), filled("abc").late, open_().many is open_().many,
            [_refused(lambda: two()), _refused(lambda: empty(1)), _refused(lambda: filled("a", joins=[])),
             _refused(lambda: two(1, left=2))]]


def _refused(call: Callable[[], Any]) -> str:
    with pytest.raises(TypeError) as raised:
        call()
    return str(raised.value)


def test_it_means_what_the_standard_library_means() -> None:
    standard, own = (_told(make) for make in MAKERS.values())
    for here, there in zip(standard, own, strict=True):
        assert here == there


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_what_may_change_cannot_be_hashed(make: Any) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(_classes(make)[-1]())


def test_own_methods_stay() -> None:
    @quick(frozen=True)
    class Same:
        of: int

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

        def __repr__(self) -> str:
            return "same"

    assert (Same(1) == 2, hash(Same(3)), repr(Same(4))) == (True, 1, "same")


def test_an_instance_can_be_pickled() -> None:
    made = Pickled("a", (1, 2))
    assert pickle.loads(pickle.dumps(made)) == made


def test_what_it_does_not_do_is_refused() -> None:
    class First:
        of: InitVar[int]

    class Shared:
        of: ClassVar[int] = 1

    class Named:
        of: int = field(kw_only=True)

    for each in First, Shared, Named:
        with pytest.raises(TypeError, match=each.__name__):
            quick(each)
