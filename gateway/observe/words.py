"""What metrics and log need of the words that other rooms own: reasons, deliveries, outcomes, faults.

This room stands below theirs and does not know them; it writes down what they are called.
"""

from __future__ import annotations

from typing import Literal, Protocol

Severity = Literal["info", "warning", "error"]


class ReasonWord(Protocol):
    """Why a submission was answered as it was; `datapost.reasons.Reason`."""

    @property
    def slug(self) -> str:
        """The word in labels and lines."""

    @property
    def severity(self) -> Severity:
        """How much attention it deserves."""


class Word(Protocol):
    """A member of an enumeration of words: a delivery, an outcome, a failure."""

    @property
    def value(self) -> str:
        """The word in labels and lines."""


class FaultWords(Protocol):
    """One broken rule; `datapost.values.Fault`."""

    @property
    def field(self) -> str:
        """The configured name of the field; "" for the lead as a whole."""

    @property
    def kind(self) -> str:
        """The machine word of what is wrong."""
