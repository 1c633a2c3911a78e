"""A folder of results: which input made which, so that a run can be taken up again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import FactError, Problem, system_reason
from engine.files import replacing
from facts.batch_files import FORMATS, WRITTEN, told_apart
from facts.text import reading

LEDGER = ".hegui-batch.json"


def expand(inputs: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Files as they are, folders as the files in them, each once, in order; and what of the folders is not read.

    Errors (`FactError`): `no-inputs` where nothing is left to read, `unreadable-file`.
    """
    found: dict[Path, Path] = {}
    left: list[Path] = []
    for path in inputs:
        for one in _shown_in(path) if path.is_dir() else [path]:
            if one.is_dir() or (path.is_dir() and one.suffix.lower() not in FORMATS):
                left.append(one)
            else:
                found.setdefault(one.resolve(), one)
    if not found:
        raise FactError(Problem("no-inputs", fields={
            "paths": [str(path) for path in inputs], "known": list(FORMATS)}))
    return list(found.values()), left


def _shown_in(folder: Path) -> list[Path]:
    """What is in a folder, by name, without hidden files and the locks of office programs."""
    with reading(folder):
        return sorted(path for path in folder.iterdir() if not path.name.startswith(("~$", ".")))


def names_of(inputs: Sequence[Path]) -> dict[Path, str]:
    """What the results of each input are called: as it is itself, with its kind (`told_apart`)."""
    return told_apart({path: f"{path.stem}{path.suffix.replace('.', '_')}" for path in inputs})


class Folder:
    """Results beside a ledger that tells of each input its size, its time and the options it was read under.

    Errors (`FactError`): `output-is-input` where the inputs lie in this folder (results would be read as such),
    `folder-wanted` where its name is that of a file, `unwritable-file`.
    """

    def __init__(self, path: Path, form: str, options: Mapping[str, Any], inputs: Sequence[Path]) -> None:
        self.path, self.form, self.names = path, form, names_of(inputs)
        if path.is_file() or (path.suffix.lower() in WRITTEN and not path.is_dir()):
            raise FactError(Problem("folder-wanted", fields={"path": str(path)}))
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FactError(Problem("unwritable-file", fields={
                "path": str(path), **system_reason(error)})) from None
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
