"""Small packs written inside tests."""

from __future__ import annotations

import textwrap
from pathlib import Path

from engine import Pack, load_pack

HEADER = """
id: tiny
version: "1"
label: {zh: 小包, en: tiny}
document: 测〔2019〕1号
reference_date: 2019-12-31
plans: {1: 方案一}
deadline: {done: submitted, done_on: submitted_on, as_of: as_of}
periods: {2019Q1: 2019-03-31, "2019": 2019-12-31}
"""

PROVISION = """
- id: tiny.one
  kind: {kind}
  label: {{zh: 一, en: one}}
  plan: 1
  at: 一
  summary: {{zh: 概括, en: summary}}
"""


def write_pack(folder: Path, provisions: str, header: str = HEADER, **files: str) -> Path:
    """A pack of one provision file; `files` are further files by name without `.yaml`."""
    (folder / "provisions").mkdir(parents=True, exist_ok=True)
    (folder / "pack.yaml").write_text(textwrap.dedent(header), encoding="utf-8")
    (folder / "provisions" / "all.yaml").write_text(textwrap.dedent(provisions), encoding="utf-8")
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def one(folder: Path, kind: str, body: str, **files: str) -> Pack:
    """A loaded pack with one provision `tiny.one`; `body` holds its other keys."""
    text = PROVISION.format(kind=kind) + textwrap.indent(textwrap.dedent(body).strip("\n"), "  ") + "\n"
    return load_pack(write_pack(folder, text, **files)).load_all()
