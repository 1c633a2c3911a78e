"""Hegui's engine: rule packs, what they mean, and evaluating facts against them.

```python
from engine import load_pack
pack = load_pack("chuxiong_2019")
outcome = pack.evaluate(ID, {"task_amount": "1000万元", ...}, as_of="2019-12-31")
outcome.status, outcome.amount, outcome.to_dict()
```
"""

from engine.errors import EvaluationError, FactError, HeguiError, PackError, Problem
from engine.load import Pack, load_pack, pack_names
from engine.outcome import Outcome

__all__ = [
    "EvaluationError",
    "FactError",
    "HeguiError",
    "Outcome",
    "Pack",
    "PackError",
    "Problem",
    "load_pack",
    "pack_names",
]
