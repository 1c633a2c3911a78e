"""What a test needs beside Python: left out where it is missing, or failed where nothing may be left out."""

from __future__ import annotations

import importlib
import os
import shutil
from typing import Any, NoReturn

import pytest

WHOLE = os.environ.get("HEGUI_ALL") == "1"
"""Whether a part that cannot run here is a failure instead of a skip."""


def lacking(reason: str) -> NoReturn:
    """This test cannot run here."""
    if WHOLE:
        pytest.fail(reason)
    pytest.skip(reason)


def importorskip(name: str) -> Any:
    """A module of an extra."""
    return importlib.import_module(name) if WHOLE else pytest.importorskip(name)


def spark() -> None:
    """Spark, and a Java runtime for it."""
    importorskip("pyspark")
    if shutil.which("java") is None:
        lacking("Spark needs a Java runtime (java), which is not installed")
