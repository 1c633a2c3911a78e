"""A folder of results: which input made which, so that a run can be taken up again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import FactError, Problem
from engine.output import replacing
from facts.batch import inputs_in
from facts.batch_files import told_apart

LEDGER = ".hegui-batch.json"


def expand(inputs: Sequence[Path]) -> list[Path]:
    """Files as they are, folders as the files in them; each once, in order."""
    found: dict[Path, Path] = {}
    for path in inputs:
        for one in inputs_in(path) if path.is_dir() else [path]:
            found.setdefault(one.resolve(), one)
    return list(found.values())


def names_of(inputs: Sequence[Path]) -> dict[Path, str]:
    """What the results of each input are called: as it is itself, with its kind (`told_apart`)."""
    return told_apart({path: f"{path.stem}{path.suffix.replace('.', '_')}" for path in inputs})


class Folder:
    """Results beside a ledger that tells of each input its size, its time and the options it was read under.

    Errors (`FactError`): `output-is-input` where the inputs lie in this folder: results would be read as such.
    """

    def __init__(self, path: Path, form: str, options: Mapping[str, Any], inputs: Sequence[Path]) -> None:
        self.path, self.form, self.names = path, form, names_of(inputs)
        path.mkdir(parents=True, exist_ok=True)
        if any(one.resolve().parent == path.resolve() for one in inputs):
            raise FactError(Problem("output-is-input", fields={"path": str(path)}))
        self.options = json.loads(json.dumps(options))
        self.ledger: dict[str, Any] = {}
        try:
            self.ledger = json.loads((path / LEDGER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.ledger = {}

    def target(self, source: Path) -> Path:
        """Where an input's results go."""
        return self.path / f"{self.names[source]}.{self.form}"

    def marked(self, source: Path) -> Path:
        """Where the copy of a workbook with its faults marked goes."""
        return self.path / f"{self.names[source]}.annotated{source.suffix}"

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
