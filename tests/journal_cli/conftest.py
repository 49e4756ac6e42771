"""A brand's journal to run commands on: a configuration as an engineer writes it, and leads that went all ways.

Leads are begun and settled by the engine itself, over the store that the commands then open on their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from click.testing import CliRunner, Result

from gateway.cli import gateway
from gateway.datapost.reasons import OUTCOMES, Delivery, Outcome, Reason
from gateway.datapost.values import Reading, Verdict
from gateway.intake.reference import References
from gateway.journal.engine import Journal
from gateway.journal.operations import CountUnknown
from gateway.journal.records import Query, Record
from gateway.journal.values import Met, Refusal, Settlement
from gateway.serve.compose import Composition, compose
from gateway.settings.load import load
from tests.support.journals import Remembering
from tests.support.postgres import _postgres_session, postgres_server, postgres_url
from tests.support.running import write_configuration

__all__ = ["_postgres_session", "postgres_server", "postgres_url"]

KEY, INDEX_KEY = "11" * 32, "an index key of these tests"
#: Who runs the commands, and no configuration of this machine's.
OPERATOR = {"USER": "jane", "LOGNAME": "jane", "SUDO_USER": None, "GATEWAY_CONFIG": None}
FORM = "application/x-www-form-urlencoded"
LEAD = {"email": "jane@example.com", "phone": "(415) 555-2671", "click_id": "Xk3-1"}

PROGRAM: dict[str, Any] = {
    "program": "auto",
    "path": "/leads/auto",
    "timezone": "America/New_York",
    "lead": {
        "replay": {"window": "10m"},
        "unknown_hold": "30d",
        "fields": {
            "email": {"type": "email", "required": True, "aliases": ["email_address"]},
            "phone": {"type": "phone", "region": "US"},
            "state": None,
            "loan_amount": None,
            "dob": None,
        },
        "duplicates": [{"name": "same_email", "key": ["email"], "window": "30d"}],
    },
    "attribution": {"click_id": "click_id"},
}
_VERDICTS = {
    Reason.ACCEPTED: Verdict.ACCEPTED,
    Reason.LEGACY_REJECTED: Verdict.REJECTED,
    Reason.LEGACY_DUPLICATE: Verdict.DUPLICATE,
    Reason.LEGACY_ERROR: Verdict.ERROR,
}


@dataclass
class Shop:
    """One brand's configuration and journal."""

    config: Path
    url: str  # sqlite, or PostgreSQL's

    # --- configuration ---------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        return self.config.parent

    def set(self, block: str, /, **values: object) -> None:
        """Change keys of a block of the top file."""
        top = yaml.safe_load(self.config.read_text())
        top[block] = {**top.get(block, {}), **values}
        self.config.write_text(yaml.safe_dump(top))

    def edit_program(self, **values: object) -> None:
        """Change keys of the program's file."""
        file = self.folder / "program.yaml"
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **values}))

    def add_program(self, name: str, **values: object) -> None:
        """One more program, like the first but for these."""
        first = yaml.safe_load((self.folder / "program.yaml").read_text())
        settings = {**first, "program": name, "path": f"/leads/{name}", **values}
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(settings))
        top = yaml.safe_load(self.config.read_text())
        top["programs"] = [*top["programs"], f"{name}.yaml"]
        self.config.write_text(yaml.safe_dump(top))

    def compose(self) -> Composition:
        loaded = load(self.config)
        composition = compose(loaded)
        assert composition is not None, [str(problem) for problem in loaded.problems]
        return composition

    # --- commands --------------------------------------------------------------------------------

    def run(self, *arguments: str | Path, stdin: str | None = None) -> Result:
        """`gateway journal ARGUMENTS…` with this configuration; a traceback fails the test."""
        name, *rest = [str(one) for one in arguments]
        result = CliRunner(env=OPERATOR).invoke(gateway, ["journal", name, "-c", str(self.config), *rest], input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    # --- leads -----------------------------------------------------------------------------------

    def take(
        self,
        reason: Reason | None,
        lead: dict[str, str] | None = None,
        *,
        program: str = "auto",
        partner: str = "acme",
        at: str = "",
        legacy_id: str = "98",
        reference: str = "",
    ) -> str:
        """A lead that ended so (None: it is open, its owner alive); its reference. at: ISO 8601, when it came."""
        reference = reference or References().new()
        asyncio.run(self._take(reference, reason, lead or LEAD, program, partner, at, legacy_id))
        return reference

    async def _take(
        self,
        reference: str,
        reason: Reason | None,
        lead: dict[str, str],
        program: str,
        partner: str,
        at: str,
        legacy_id: str,
    ) -> None:
        composed = self.compose().programs[program]
        body = urlencode(lead).encode()
        async with self.journal() as journal:
            received_ms = _ms(at) if at else journal.now_ms()
            decoded = composed.decode(FORM, body)
            checked = composed.check(decoded, datetime.now(UTC).date())  # type: ignore[arg-type]
            if reason is not None and reason not in OUTCOMES:
                journal.note(Refusal(
                    reference=reference, program=program, partner=partner, received_ms=received_ms, reason=reason,
                    faults=tuple(f"{one.field}={one.kind}" for one in checked.faults),
                ))  # fmt: skip
                return
            entry = composed.reserve.entry(
                reference=reference, partner=partner, received_ms=received_ms, pairs=decoded.pairs,  # type: ignore[union-attr]
                typed=checked.typed, idempotency_key=None, content_type=FORM, body=body,
            )  # fmt: skip
            meeting = await journal.begin(entry)
            assert meeting.met is Met.NOTHING, meeting
            if reason is not None:
                delivery, outcome = OUTCOMES[reason]
                reading = Reading(_VERDICTS.get(reason), uniqueid=legacy_id, sale_amount="10.00", customerid="177")
                members = composed.contract.conclude(reading, checked.fields, reference).answer
                if reason is Reason.OUTCOME_UNKNOWN:
                    members = composed.contract.refuse(reason, reference)
                answered = delivery is Delivery.ANSWERED
                await journal.finish(Settlement(
                    reference=reference, reason=reason, delivery=delivery, outcome=outcome, members=members,
                    rule="ok" if outcome is Outcome.ACCEPTED else "",
                    legacy_id=legacy_id if answered else "",
                    upstream_status=200 if answered else 0,
                    answer=f"OK|{legacy_id}|10.00|177".encode() if answered else b"",
                    failure="" if answered else "first_byte_timeout",
                ))  # fmt: skip
            else:
                # Its process goes on: nobody recovers it.
                await asyncio.shield(journal.store.close())
                journal._heart.cancel()  # type: ignore[union-attr]

    def arrive_late(self, reference: str, legacy_id: str = "98") -> None:
        """The legacy's answer to a lead of unknown outcome arrives after all: accepted."""
        asyncio.run(self._arrive_late(reference, legacy_id))

    async def _arrive_late(self, reference: str, legacy_id: str) -> None:
        composed = self.compose().programs["auto"]
        reading = Reading(Verdict.ACCEPTED, uniqueid=legacy_id, sale_amount="12.50", customerid="177")
        conclusion = composed.contract.conclude(reading, LEAD, reference)
        async with self.journal() as journal:
            assert await journal.finish(Settlement(
                reference=reference, reason=Reason.ACCEPTED, delivery=Delivery.ANSWERED, outcome=Outcome.ACCEPTED,
                members=conclusion.answer, rule="ok", legacy_id=legacy_id, upstream_status=200, late=True,
            ))  # fmt: skip

    def meets(self, lead: dict[str, str], *, partner: str = "acme") -> Met:
        """What a lead would meet in the journal now."""

        async def look() -> Met:
            composed = self.compose().programs["auto"]
            decoded = composed.decode(FORM, urlencode(lead).encode())
            checked = composed.check(decoded, datetime.now(UTC).date())  # type: ignore[arg-type]
            async with self.journal() as journal:
                meeting = await journal.look(composed.reserve.entry(
                    reference=References().new(), partner=partner, received_ms=journal.now_ms(),
                    pairs=decoded.pairs, typed=checked.typed, idempotency_key=None, content_type=FORM, body=b"",  # type: ignore[union-attr]
                ))  # fmt: skip
                return meeting.met

        return asyncio.run(look())

    def record(self, reference: str) -> Record:
        """The row, sealed content and audit with it."""

        async def find() -> Record:
            async with self.journal() as journal:
                query = Query(reference=reference, sealed=True, audit=True)
                (record,) = [record async for record in journal.store.search(query)]
                return record

        return asyncio.run(find())

    def unknown(self) -> int:
        """How many outcomes are unknown."""

        async def count() -> int:
            async with self.journal() as journal:
                (counts,) = await journal.store.commit([CountUnknown()])
                assert isinstance(counts, dict)
                return sum(one.count for one in counts.values())

        return asyncio.run(count())

    @asynccontextmanager
    async def journal(self) -> AsyncIterator[Journal]:
        """The engine on this journal, started."""
        plan = self.compose().journal
        journal = Journal(plan.store(), plan.sealer(), plan.hashes, Remembering())
        try:
            await journal.start()
            yield journal
        finally:
            await journal.close()


def _ms(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000)


def a_shop(folder: Path, url: str, *, name: str = "auto") -> Shop:
    """A configuration of one program. url: of its journal."""
    folder.mkdir(exist_ok=True)
    top = {
        "state_dir": "state",
        "journal": {"url": url, "key": KEY, "index_key": INDEX_KEY, "index": ["email", "phone"]},
    }
    program = {**PROGRAM, "program": name}
    return Shop(write_configuration(folder, "http://127.0.0.1:1/lead", program=program, top=top), url)


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """On either store."""
    url = "sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return a_shop(tmp_path / "shop", url)


@pytest.fixture
def file_shop(tmp_path: Path) -> Shop:
    """On a file."""
    return a_shop(tmp_path / "shop", "sqlite")
