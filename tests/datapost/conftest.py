"""What the tests of this room share: a contract made from a block as it stands in a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.datapost import Contract, compile_contract
from gateway.settings.models import AnswerSettings
from gateway.settings.problems import loose_report

KEY = b"0123456789abcdef0123456789abcdef"

MakeContract = Callable[..., Contract]
Problems = Callable[..., list[str]]


def _compile(block: dict[str, Any], id_key: bytes | None, fields: tuple[str, ...]) -> tuple[Contract, list[str]]:
    report = loose_report()
    settings = AnswerSettings.model_validate(block)
    contract = compile_contract(settings, program="auto", id_key=id_key, report=report, fields=fields)
    kinds = {True: "warning: ", False: ""}
    return contract, [f"{kinds[one.warning]}{one.wrong}; {one.allowed}" for one in report.problems]


@pytest.fixture(scope="session")
def make_contract() -> MakeContract:
    """A contract from keyword blocks (`uniqueid={...}`); one that has errors fails the test."""

    def make(*, id_key: bytes | None = KEY, fields: tuple[str, ...] = (), **block: Any) -> Contract:
        contract, problems = _compile(block, id_key, fields)
        assert not [one for one in problems if not one.startswith("warning: ")]
        return contract

    return make


@pytest.fixture(scope="session")
def problems() -> Problems:
    """What is reported of keyword blocks."""

    def found(*, id_key: bytes | None = KEY, fields: tuple[str, ...] = (), **block: Any) -> list[str]:
        return _compile(block, id_key, fields)[1]

    return found
