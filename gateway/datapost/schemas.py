"""The published schemas of an answer, as text: JSON Schema 2020-12 and XML Schema 1.0.

Both say the same as far as their languages go; that an invalid answer carries no ID, amount, customer or
address can be said in JSON Schema alone. Neither can say that JSON's members stand in order.
"""

from __future__ import annotations

from importlib.resources import files


def json_schema() -> str:
    """`contract.schema.json`."""
    return files(__package__).joinpath("contract.schema.json").read_text("utf-8")


def xsd() -> str:
    """`contract.xsd`."""
    return files(__package__).joinpath("contract.xsd").read_text("utf-8")
