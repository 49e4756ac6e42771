"""From the bytes of a legacy answer to a reading: the `answers:` block, compiled (docs/answers.md).

Knows no network, clock, store or log: `compile_answers` gives an `Answers`, whose `read` is total over any bytes.
"""

from gateway.answers.block import Answers, compile_answers
from gateway.answers.document import LegacyAnswer
from gateway.answers.explaining import Explanation, Missed, Origin, Unwrapping

__all__ = ["Answers", "Explanation", "LegacyAnswer", "Missed", "Origin", "Unwrapping", "compile_answers"]
