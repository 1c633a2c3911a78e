"""What a pack claims of its own rules, for `verify` to prove, and what it says of findings.

Beside the rules a provision may declare

```yaml
  monotone: {raised_amount: falling}   # as more is raised, the cut never rises
  at_most: {rate: 10%}                 # no result is above this (an expression)
  exclusive: fundraising_cut           # of the provisions of one group at most one pays in a case
```

`rising` means: as the fact rises, all others equal, the result (the amount, else the rate, else
whether the provision takes effect) never falls. `explained.yaml` of a pack holds the findings that
are the text's own doing:

```yaml
- finding: enum-value-unmentioned
  where: award.grade                   # a provision, fact or parameter; `*` at the end stands for anything
  about: other                         # optional: the row, value or condition it is about
  why: {zh: 条文只列举前五种, en: the clause lists the first five only}
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from engine.check import Scope, check
from engine.dataclass import dataclass
from engine.errors import PackError, Problem
from engine.expr import Expr
from engine.load import Pack
from engine.model import Provision, Text
from engine.parse import parse_expression
from engine.reader import Reader, expression_place
from engine.source import NOWHERE, Location
from engine.yamltree import Mapping as MappingNode
from engine.yamltree import Node, Scalar, Sequence, read_yaml

CLAIM_KEYS = ("monotone", "at_most", "exclusive")
"""Keys of a provision that are claims about it; they do not change what it means."""
EXPLANATION_KEYS = ("finding", "where", "about", "why")


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one provision, each with its place."""

    monotone: Mapping[str, tuple[bool, Location]] = field(default_factory=dict)
    at_most: Mapping[str, tuple[Expr, Location]] = field(default_factory=dict)
    group: str = ""
    at: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class Explanation:
    """A finding that the text itself brings about."""

    finding: str
    where: str
    about: str
    why: Text
    at: Location

    def covers(self, code: str, where: str, about: str) -> bool:
        return code == self.finding and _matches(self.where, where) and (not self.about or _matches(self.about, about))


def _matches(pattern: str, text: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def read_claims(pack: Pack) -> dict[str, Claims]:
    """The claims of every provision that makes one. Errors (`PackError`): all that is wrong with them."""
    problems: list[Problem] = []
    found: dict[str, Claims] = {}
    for path in sorted(pack.folder.glob("provisions/**/*.yaml")):
        if not any(key in path.read_text(encoding="utf-8-sig") for key in CLAIM_KEYS):
            continue
        node = read_yaml(path, str(path))
        for item in node.items if isinstance(node, Sequence) else (node,):
            if isinstance(item, MappingNode) and any(item.get(key) is not None for key in CLAIM_KEYS):
                reader = Reader(item, "a provision", problems)
                provision = pack.find(reader.text("id"))
                if provision is not None:
                    reader.where = f"provision {provision.id}"
                    found[provision.id] = _claims(reader, provision)
    if problems:
        raise PackError(problems)
    return found


def scope_of(provision: Provision) -> Scope:
    """The names an expression about a provision may read."""
    types = {name: item.type for name, item in provision.parameters.items()}
    types |= {name: item.type for name, item in provision.facts.items()}
    types |= {let.name: let.expr.type for let in provision.lets}
    roles = dict.fromkeys(provision.parameters, "parameter") | dict.fromkeys(provision.facts, "fact")
    return Scope(types, roles | {let.name: "let" for let in provision.lets})


def _claims(reader: Reader, provision: Provision) -> Claims:
    monotone: dict[str, tuple[bool, Location]] = {}
    for key, value in reader.mapping("monotone"):
        word = reader.scalar(value)
        if key.text not in provision.facts:
            reader.report("unknown-name", key.at, name=key.text, known=list(provision.facts), suggestion="")
        elif word not in ("rising", "falling"):
            reader.report(
                "bad-value", value.at, value=word, expected="rising 或 falling", expected_en="rising or falling"
            )
        else:
            monotone[key.text] = (word == "rising", key.at)
    at_most: dict[str, tuple[Expr, Location]] = {}
    outputs = {output.name: output.expr.type for output in provision.outputs}
    for key, value in reader.mapping("at_most"):
        if key.text not in outputs:
            reader.report("unknown-name", key.at, name=key.text, known=sorted(outputs), suggestion="")
            continue
        bound = _bound(reader, value, provision, key.text)
        if bound is not None:
            at_most[key.text] = (bound, key.at)
    return Claims(monotone, at_most, reader.text("exclusive"), reader.at("exclusive"))


def _bound(reader: Reader, node: Node, provision: Provision, output: str) -> Expr | None:
    if not isinstance(node, Scalar):
        reader.shape(node, "表达式", "an expression")
        return None
    of = next(item.expr.type for item in provision.outputs if item.name == output)
    try:
        return check(parse_expression(node.text, expression_place(node)), scope_of(provision), of, "at_most")
    except PackError as error:
        reader.problems.extend(error.problems)
        return None


def read_explanations(pack: Pack) -> list[Explanation]:
    """The entries of the pack's `explained.yaml`. Errors (`PackError`): all that is wrong with them."""
    path = pack.folder / "explained.yaml"
    if not path.exists():
        return []
    problems: list[Problem] = []
    node = read_yaml(path, str(path))
    found = []
    for item in node.items if isinstance(node, Sequence) else (node,):
        if not isinstance(item, MappingNode):
            Reader(MappingNode((), item.at), "explained.yaml", problems).shape(item, "键值表", "a mapping")
            continue
        reader = Reader(item, "explained.yaml", problems, EXPLANATION_KEYS)
        for key in ("finding", "where", "why"):
            reader.need(key)
        found.append(
            Explanation(
                reader.text("finding"), reader.text("where"), reader.text("about"), reader.words("why"), item.at
            )
        )
    if problems:
        raise PackError(problems)
    return found
