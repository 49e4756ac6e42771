"""Settings and rooms meet here, and nowhere else: each program's blocks are compiled into callables.

Nothing here opens a port or needs an event loop, so `check`, `try` and `explain` compose exactly what
`serve` runs. All that is wrong lands in `loaded.problems`; a program with an error is not composed.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from zoneinfo import ZoneInfo

from gateway.answers import Answers, compile_answers
from gateway.datapost import Contract, compile_contract
from gateway.intake.address import (
    ClientAddress,
    ClientScheme,
    compile_client_address,
    compile_client_scheme,
    compile_networks,
)
from gateway.intake.htpasswd import Users, compile_users
from gateway.journal.reserving import Reservation, compile_reservation
from gateway.lead import Checker, Decoder, compile_checker, compile_decoder
from gateway.serve.journaling import JournalPlan, compose_journal
from gateway.settings.load import Loaded, LoadedProgram
from gateway.settings.models import GatewaySettings
from gateway.upstream import UpstreamPlan, compile_upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program, compiled: what `pipeline` needs of it, apart from what lives only while it runs."""

    name: str
    path: str
    deadline_s: float  # first byte of the request to last byte of the answer
    timezone: datetime.tzinfo
    realm: str
    users: Users | None  # None: `auth: none`
    allowed: Callable[[str], bool] | None  # client address -> may connect; None: everybody
    decode: Decoder
    check: Checker
    answers: Answers
    contract: Contract
    upstream: UpstreamPlan
    fields: tuple[str, ...]  # configured names, in file order
    reserve: Reservation


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """A whole configuration, compiled."""

    settings: GatewaySettings
    programs: Mapping[str, Program]  # by name
    admin_users: Users | None  # who may see /metrics; None: everybody, on loopback
    client_address: ClientAddress
    client_scheme: ClientScheme
    journal: JournalPlan


def compose(loaded: Loaded, *, create: bool = False) -> Composition | None:
    """Compile all programs; None when an error stands in `loaded.problems` (which this adds to).

    create: make the journal's keys where they are to be made; nothing else is ever written.
    """
    settings = loaded.settings
    if settings is None:
        return None
    client_address = compile_client_address(
        settings.listening.trusted_proxies, loaded.report.at("listen", "trusted_proxies")
    )
    admin_users = None
    if (file := settings.administration.users) is not None:
        admin_users = compile_users(file, loaded.report.at("admin", "users"))
    journal = compose_journal(settings, loaded.report.at("journal"), create=create)
    programs = {}
    for one in loaded.programs:
        if (program := _compile_program(one, settings, journal)) is not None:
            programs[program.name] = program
    if loaded.failed:
        return None
    return Composition(
        settings=settings,
        programs=MappingProxyType(programs),
        admin_users=admin_users,
        client_address=client_address,
        client_scheme=compile_client_scheme(settings.listening.trusted_proxies),
        journal=journal,
    )


def _compile_program(loaded: LoadedProgram, top: GatewaySettings, journal: JournalPlan) -> Program | None:
    settings, report = loaded.settings, loaded.report
    users = None
    if settings.auth != "none":
        users = compile_users(settings.auth.users, report.at("auth", "users"))
    id_key = top.id_key.reveal().encode() if top.id_key is not None else None
    answers = compile_answers(settings.answers, report.at("answers"), max_answer=settings.upstream.max_answer)
    contract = compile_contract(
        settings.answer,
        program=settings.program,
        id_key=id_key,
        report=report.at("answer"),
        fields=settings.lead.fields,
    )
    check = compile_checker(settings.lead, report.at("lead"))
    plan = compile_upstream(settings.upstream, report.at("upstream"))
    allowed = compile_networks(settings.networks, report.at("networks"))
    reserve = compile_reservation(
        settings.lead,
        program=settings.program,
        signed_in=settings.auth != "none",
        index=journal.index,
        hashes=journal.hashes,
        report=report.at("lead"),
    )
    if answers is None or report.failed:
        return None
    return Program(
        name=settings.program,
        path=settings.path,
        deadline_s=settings.deadline,
        timezone=ZoneInfo(settings.timezone),
        realm="" if settings.auth == "none" else settings.auth.realm,
        users=users,
        allowed=allowed,
        decode=compile_decoder(settings.lead, max_fields=top.limits.fields),
        check=check,
        answers=answers,
        contract=contract,
        upstream=plan,
        fields=tuple(settings.lead.fields),
        reserve=reserve,
    )
