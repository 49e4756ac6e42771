"""The one list of texts that show a server in trouble: never "the rest" of a verdict, never a note (section 5.2)."""

from __future__ import annotations

import re2  # type: ignore[import-untyped]

_SIGNS = (
    r"(?i)\b(?:fatal|parse|syntax) error\b[^\n]*\bon line (?:</?\w+>)*\d",  # PHP, its HTML form too
    r"(?i)\b(?:fatal|parse) error(?:</?\w+>)*:",
    r"Traceback \(most recent call last\)",  # Python
    r"Exception in thread",  # Java
    r"\.java:\d+\)",
    r"\.cs:line \d+",  # .NET
    r"Server Error in '/[^']*' Application",
    r"SQLSTATE\[",
    r"\bORA-\d{5}\b",
    r"/var/www/",
    r"(?i)\b[a-z]:\\inetpub\b",
)

_options = re2.Options()
_options.log_errors = False
_any = re2.compile("|".join(f"(?:{sign})" for sign in _SIGNS), _options).search


def shows_trouble(text: str) -> bool:
    """Whether a text looks like an error page or a stack trace rather than an answer."""
    return _any(text.encode("utf-8", "replace")) is not None
