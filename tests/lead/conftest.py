"""What the tests of leads share: compiling a program's lead block, and sending a lead in each encoding."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest

from gateway.datapost.values import Fault
from gateway.lead import Checked, Checker, Lead, compile_checker
from gateway.settings.models import LeadSettings
from gateway.settings.problems import loose_report

#: The program's day in every test that does not say another one.
TODAY = datetime.date(2026, 11, 24)


@pytest.fixture
def checker() -> Callable[..., Checker]:
    """Compile fields that must be free of errors: `checker({"email": {"type": "email"}}, unknown_fields="reject")`."""

    def compiled(fields: dict[str, dict[str, object]], **settings: object) -> Checker:
        report = loose_report()
        check = compile_checker(LeadSettings.model_validate({"fields": fields, **settings}), report)
        assert report.problems == []
        return check

    return compiled


@pytest.fixture
def judge(checker: Callable[..., Checker]) -> Callable[..., Checked]:
    """Check one value of a field `it` with the given settings."""

    def judged(settings: dict[str, object], text: str, today: datetime.date = TODAY) -> Checked:
        return checker({"it": settings})(Lead((("it", text),), "form"), today)

    return judged


@pytest.fixture
def fault_of(judge: Callable[..., Checked]) -> Callable[..., tuple[str, str] | None]:
    """The kind and text of the one fault of a value, None when there is none; a faultless value is typed."""

    def found(settings: dict[str, object], text: str, today: datetime.date = TODAY) -> tuple[str, str] | None:
        checked = judge(settings, text, today)
        if not checked.faults:
            assert "it" in checked.typed
            return None
        (fault,) = checked.faults
        assert isinstance(fault, Fault)
        assert fault.field == "it"
        assert "it" not in checked.typed
        return fault.kind, fault.text

    return found
