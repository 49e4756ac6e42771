"""What no single setting can tell: whether those of one file, and of all files together, go with each other.

Each check names the settings it reads and is left out when one of them is wrong already, so that one mistake is
told once. What needs a room's knowledge (patterns, URLs, htpasswd files) is that room's compiler's to check.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from gateway.settings.addresses import collide, is_loopback, parse_address
from gateway.settings.models import GatewaySettings, ProgramSettings
from gateway.settings.problems import Report, loose_report
from gateway.settings.salvage import Validated
from gateway.settings.units import spell_seconds

#: Keyed hashes are worth what their key is: 128 bits at least.
SHORTEST_ID_KEY = 16


def check_gateway(found: Validated[GatewaySettings], report: Report) -> None:
    """Add what is wrong between the settings of the top file."""
    for check, reads in _GATEWAY_CHECKS.items():
        if found.sound(*reads):
            check(found.settings, report)


def check_program(found: Validated[ProgramSettings], report: Report) -> None:
    """Add what is wrong between the settings of one program file."""
    for check, reads in _PROGRAM_CHECKS.items():
        if found.sound(*reads):
            check(found.settings, report)


@dataclass(frozen=True, slots=True)
class Named:
    """A program as `check_apart` sees it."""

    found: Validated[ProgramSettings]
    report: Report


def check_apart(programs: Iterable[Named]) -> None:
    """Add an error to each program whose name or path another one, read before it, has."""
    for key in ("program", "path"):
        seen: dict[str, Report] = {}
        for one in programs:
            if one.found.sound(key):
                value: str = getattr(one.found.settings, key)
                first = seen.setdefault(value, one.report)
                if first is not one.report:
                    one.report.at(key).error(f"same {key} as in {first.place(key)}", f"one program for each {key}")


# --- the top file --------------------------------------------------------------------------------


def _listen(settings: GatewaySettings, report: Report) -> None:
    here = report.at("listen") if isinstance(settings.listen, str) else report.at("listen", "address")
    _endpoint(settings.listening.address, here)


def _admin(settings: GatewaySettings, report: Report) -> None:
    here = report.at("admin") if isinstance(settings.admin, str) else report.at("admin", "address")
    _endpoint(settings.administration.address, here)


def _endpoint(address: str, report: Report) -> tuple[str, int] | None:
    """Host and port; None when they are none, which is told."""
    try:
        return parse_address(address)
    except ValueError as error:
        wrong, _, allowed = str(error).partition("; ")
        report.error(wrong, allowed)
        return None


def _two_ports(settings: GatewaySettings, report: Report) -> None:
    listen, admin = (_endpoint(one.address, loose_report()) for one in (settings.listening, settings.administration))
    if listen is not None and admin is not None and collide(listen, admin):
        report.at("admin").error(f"takes the port that listen takes ({listen[1]})", "another port")


def _who_sees_metrics(settings: GatewaySettings, report: Report) -> None:
    admin = _endpoint(settings.administration.address, loose_report())
    if admin is not None and not is_loopback(admin[0]) and settings.administration.users is None:
        report.at("admin").error(
            "others than this machine can reach it, and it asks nobody for a password",
            "{address: …, users: an htpasswd file}, or a loopback address such as 127.0.0.1",
        )


def _id_key(settings: GatewaySettings, report: Report) -> None:
    if settings.id_key is None:
        report.at("id_key").error("is missing", 'add id_key: "${file:keys/ids}", made by gateway init')
    elif len(settings.id_key.reveal().encode()) < SHORTEST_ID_KEY:
        report.at("id_key").error(
            "is too short to be a key", f"{SHORTEST_ID_KEY} bytes at least; gateway init makes one"
        )


_GATEWAY_CHECKS: Mapping[Callable[[GatewaySettings, Report], None], tuple[str, ...]] = {
    _listen: ("listen.address",),
    _admin: ("admin.address",),
    _two_ports: ("listen.address", "admin.address"),
    _who_sees_metrics: ("admin",),
    _id_key: ("id_key",),
}

# --- a program -----------------------------------------------------------------------------------


def _path(settings: ProgramSettings, report: Report) -> None:
    if {".", ".."}.intersection(settings.path.split("/")):
        report.at("path").error("has a segment . or .., which clients take out before they send", "a path without them")


def _timezone(settings: ProgramSettings, report: Report) -> None:
    if _is_timezone(settings.timezone):
        return
    if not _is_timezone("UTC"):
        report.at("timezone").error("no time zone is known on this machine", "the operating system's tzdata package")
        return
    known = {name.lower(): name for name in available_timezones()}
    likely = difflib.get_close_matches(settings.timezone[:64].lower(), known, n=1, cutoff=0.8)
    hint = f"did you mean {known[likely[0]]}? " if likely else ""
    report.at("timezone").error("is no time zone", f"{hint}an IANA name, such as America/New_York or UTC")


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder, such as America
        return False
    return True


def _auth(settings: ProgramSettings, report: Report) -> None:
    if settings.auth == "none":
        report.at("auth").warn("anybody who finds the path can submit leads", "{realm: …, users: an htpasswd file}")


def _deadline(settings: ProgramSettings, report: Report) -> None:
    total = settings.upstream.timeouts.total
    if settings.deadline <= total:
        report.at("deadline").error(
            f"is {spell_seconds(settings.deadline)}, but the upstream alone may take {spell_seconds(total)}",
            "more than upstream.timeouts.total, since the lead must arrive and be answered too",
        )


def _drop(settings: ProgramSettings, report: Report) -> None:
    if settings.lead.unknown_fields == "drop" and settings.upstream.send == "as_received":
        report.at("lead", "unknown_fields").error(
            "drop needs a lead that is written anew, but upstream.send is as_received: bytes cannot be dropped",
            "forward or reject",
        )


def _email_from(settings: ProgramSettings, report: Report) -> None:
    fields, answer = settings.lead.fields, settings.answer
    if answer.email != "none" and fields and answer.email_from not in fields:
        report.at("answer", "email_from").warn(
            f"{answer.email_from} is no field of this program, so email is empty unless a lead brings it unasked",
            "a field of lead.fields; or email: none",
        )


_PROGRAM_CHECKS: Mapping[Callable[[ProgramSettings, Report], None], tuple[str, ...]] = {
    _path: ("path",),
    _timezone: ("timezone",),
    _auth: ("auth",),
    _deadline: ("deadline", "upstream.timeouts"),
    _drop: ("lead.unknown_fields", "upstream.send"),
    _email_from: ("answer.email", "answer.email_from"),  # a faulty field keeps its name
}
