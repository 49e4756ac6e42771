"""Small text files, read whole: configuration files and what `${file:…}` names."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class Unreadable(Exception):
    """Why a file could not be read, in words that go behind its name; never a part of its content."""

    def __init__(self, wrong: str, allowed: str = "", line: int = 1, column: int = 1) -> None:
        super().__init__(wrong)
        self.wrong, self.allowed, self.line, self.column = wrong, allowed, line, column


class Missing(Unreadable):
    """There is no such file."""


def read_text(file: Path, *, limit: int) -> str:
    """The UTF-8 text of a regular file of at most `limit` bytes, without its byte order mark. Raises Unreadable."""
    raw = _read_bytes(file, limit)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise Unreadable("is not UTF-8 from here on", "a text file in UTF-8", line, column) from None


def _read_bytes(file: Path, limit: int) -> bytes:
    try:
        # A pipe without a writer would block for ever, and a device has no end.
        if not stat.S_ISREG(file.stat().st_mode):
            raise Unreadable("is no regular file", "a text file")
        with file.open("rb") as stream:
            raw = stream.read(limit + 1)
    except FileNotFoundError:
        raise Missing("does not exist") from None
    except PermissionError:
        raise Unreadable("may not be read by this user", "a file that it may read") from None
    except OSError as error:
        raise Unreadable(f"cannot be read ({os.strerror(error.errno or 0)})") from None
    except ValueError:  # a NUL in the name
        raise Unreadable("is no file name") from None
    if len(raw) > limit:
        raise Unreadable(f"is larger than {limit // 1024} KiB", "a smaller file")
    return raw
