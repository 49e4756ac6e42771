"""Proves, before anything listens, that the parser is the one whose behaviour was measured and is tested."""

from __future__ import annotations

import re
from typing import Final

import aiohttp
from aiohttp.http import HttpRequestParser, HttpResponseParser

#: The minor version that the contract tests hold for; the same range stands in pyproject.toml.
OLDEST, NEXT_MINOR = (3, 14, 5), (3, 15)
_C_MODULE: Final = "aiohttp._http_parser"


def refuse_without_c_parser() -> str | None:
    """Why this process must not serve, in one line; None when all is well.

    aiohttp falls back to a parser in Python without a word (no wheel for the platform, AIOHTTP_NO_EXTENSIONS set).
    That one reads some requests differently, and most of aiohttp's advisories on smuggling are about it.
    """
    release = re.match(r"(\d+)\.(\d+)\.(\d+)", aiohttp.__version__)
    version = tuple(int(part) for part in release.groups()) if release else ()
    if not OLDEST <= version < NEXT_MINOR:
        return f"aiohttp {aiohttp.__version__} is none of those the gateway is tested with: 3.14.5 or later, below 3.15"
    for parser in (HttpRequestParser, HttpResponseParser):
        if parser.__module__ != _C_MODULE:
            return (
                "aiohttp runs on its pure-Python parser; its C extension is needed "
                "(unset AIOHTTP_NO_EXTENSIONS, or install a wheel for this platform)"
            )
    return None
