"""How much of a legacy answer, and of an `answers:` block, is looked at; what is beyond is not guessed at.

A limit that is hit while an answer is read raises `LimitHit`, which the reader turns into "unrecognised"
and counts. Limits of the block itself are errors when the configuration is loaded.
"""

from __future__ import annotations

#: Of an answer.
PACKED_RATIO = 100  # a document is at most so many times its packed size
CODINGS = 3  # Content-Encoding may name so many in a row
DEPTH = 100  # levels of objects, arrays, elements
NODES = 20_000  # JSON values, or elements and attributes
ATTRIBUTES = 100  # of one HTML element, see markup.guard
VALUES = 100  # one source may select
VALUE_LENGTH = 4096  # characters of one value
UNWRAPS = 4

#: Of a block.
RULES = 100
MAP_ENTRIES = 1000
ALTERNATIVES = 20
CONDITION_DEPTH = 4
EXPRESSION_LENGTH = 500  # characters of a pattern or path
PATTERN_MEMORY = 1024 * 1024  # bytes of one RE2 program
XPATH_DESCENTS = 3
JSON_DESCENTS = 2


class LimitHit(Exception):
    """The answer is larger, deeper or more tangled than is read. Carries no part of the answer."""
