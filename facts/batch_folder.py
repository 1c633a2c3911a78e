"""A folder of results: which input made which, so that a run can be taken up again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.output import replacing
from facts.batch import inputs_in

LEDGER = ".hegui-batch.json"


def expand(inputs: Sequence[Path]) -> list[Path]:
    """Files as they are, folders as the files in them; each once, in order."""
    found: dict[Path, None] = {}
    for path in inputs:
        found.update(dict.fromkeys(inputs_in(path) if path.is_dir() else [path]))
    return list(found)


class Folder:
    """Results beside a ledger that tells of each input its size, its time and the options it was read under."""

    def __init__(self, path: Path, form: str, options: Mapping[str, Any]) -> None:
        self.path, self.form = path, form
        path.mkdir(parents=True, exist_ok=True)
        self.options = json.loads(json.dumps(options))
        self.ledger: dict[str, Any] = {}
        try:
            self.ledger = json.loads((path / LEDGER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.ledger = {}

    def target(self, source: Path) -> Path:
        """Where an input's results go; the input's kind stays in the name, so that no two share one."""
        return self.path / f"{source.stem}{source.suffix.replace('.', '_')}.{self.form}"

    def _entry(self, source: Path) -> dict[str, Any]:
        stat = source.stat()
        return {"size": stat.st_size, "modified": stat.st_mtime_ns, "form": self.form, "options": self.options}

    def is_done(self, source: Path) -> bool:
        """Whether this input was done under the same options, and its result still stands."""
        return self.ledger.get(str(source.resolve())) == self._entry(source) and self.target(source).exists()

    def done(self, source: Path) -> None:
        """Note an input as done, at once, so that a run that dies loses only the file it was at."""
        self.ledger[str(source.resolve())] = self._entry(source)
        with replacing(self.path / LEDGER) as temporary:
            temporary.write_text(json.dumps(self.ledger, ensure_ascii=False, indent=1), encoding="utf-8")
