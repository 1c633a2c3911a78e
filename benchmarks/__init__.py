"""Benchmarks of Hegui and its peers; `benchmarks/README.md` has a command for each page of `docs/`."""

from __future__ import annotations

import os


def as_installed() -> dict[str, str]:
    """The environment for a program that is measured: its modules are compiled once, whatever the shell says."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
