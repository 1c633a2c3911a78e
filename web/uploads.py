"""An uploaded file: streamed to a private folder under a harmless name, never larger than allowed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path

from engine.model import Text
from facts.batch_files import FORMATS
from web.problems import ApiProblem

MAX_NAME = 100


def safe_name(name: str) -> str:
    """The last part of a client's file name, without what a file system or a terminal could take amiss.

    Errors (`ApiProblem`): `invalid-request` for a kind of file that is not read here.
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    kept = re.sub(r"[^\w.()（）\-〔〕 ]", "_", "".join(char for char in last if char.isprintable())).strip(" .")
    stem, dot, suffix = kept.rpartition(".")
    if f".{suffix.lower()}" not in FORMATS or not dot:
        known = "、".join(FORMATS)
        raise ApiProblem("invalid-request", Text(f"只接受 {known} 文件", f"only these kinds of file are read: {known}"))
    return f"{stem[: MAX_NAME - 10] or 'file'}.{suffix.lower()}"


async def receive(chunks: AsyncIterator[bytes], path: Path, limit: int) -> int:
    """Writes a body to a file as it comes in; the bytes written.

    Errors (`ApiProblem`): `too-large`, `bad-request` for an empty body. The file is gone then.
    """
    size = 0
    try:
        with path.open("xb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise ApiProblem(
                        "too-large",
                        Text(f"文件最大 {limit // 1_000_000} MB", f"a file has at most {limit // 1_000_000} MB"),
                    )
                file.write(chunk)
        if size == 0:
            raise ApiProblem("bad-request", Text("没有收到文件内容", "the file is empty"))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return size
