"""The members that tell of a person: customerid and email, from the lead or from the reading.

Neither is ever altered: what does not fit a member is hashed (customerid) or left out (email), since a cut
or cleaned identifier is another one. A keyed hash is taken of the trimmed, lower-cased value, without the
program: the same customer of a brand is the same in all of its programs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from hmac import digest

from gateway.datapost.order_id import keyed, needs_escape
from gateway.settings.models import AnswerSettings, CustomerIdSettings
from gateway.settings.problems import Report

MOST_CUSTOMER_ID = 255
#: RFC 5321 section 4.5.3.1.3: a path of 256 octets, less its brackets.
MOST_EMAIL = 254

#: (what the reading says, the lead) -> the member, empty when there is nothing to say.
Tell = Callable[[str | None, Mapping[str, str]], str]


def compile_customer_id(settings: CustomerIdSettings, *, id_key: bytes | None, report: Report) -> Tell:
    """The customerid as the block says. Longer than 255, not printable, or in need of an escape in JSON or XML: its
    keyed hash (nothing without id_key)."""
    # A key of its own, so that a customer's hash can never be some order's.
    key = None if id_key is None else digest(id_key, b"customerid", "sha256")
    if settings.field is not None and settings.hash is not None:
        report.error("field and hash are both given", "one of them")
    if settings.hash is not None and key is None:
        report.at("hash").error("there is no key to hash with", "id_key in the gateway's file")

    def hashed(value: str) -> str:
        return "" if key is None else keyed(key, value.strip().lower().encode("utf-8", "surrogatepass"))

    def fitting(value: str) -> str:
        if len(value) <= MOST_CUSTOMER_ID and value.isprintable() and not needs_escape(value):
            return value
        return hashed(value)

    match settings:
        case CustomerIdSettings(hash=str(name)):
            return lambda reading, lead: hashed(value) if (value := lead.get(name)) else ""
        case CustomerIdSettings(field=str(name)):
            return lambda reading, lead: fitting(lead.get(name, ""))
        case _:
            return lambda reading, lead: fitting(reading) if reading else ""


def compile_email(settings: AnswerSettings) -> Tell:
    """The email member: the lead's address (else the reading's), plain or as the hex of a hash.

    Hashed is the trimmed, lower-cased address. What is longer than an address can be, or not printable, is
    no address: it is left out.
    """
    source = settings.email_from

    def address(reading: str | None, lead: Mapping[str, str]) -> str:
        value = (lead.get(source) or reading or "").strip()
        return value if len(value) <= MOST_EMAIL and value.isprintable() else ""

    def sha256(reading: str | None, lead: Mapping[str, str]) -> str:
        value = address(reading, lead)
        return hashlib.sha256(value.lower().encode()).hexdigest() if value else ""

    def sha1(reading: str | None, lead: Mapping[str, str]) -> str:
        # What the platform's matching expects of a program that asks for it; it protects nothing here.
        value = address(reading, lead)
        return hashlib.sha1(value.lower().encode(), usedforsecurity=False).hexdigest() if value else ""

    def none(reading: str | None, lead: Mapping[str, str]) -> str:
        return ""

    return {"plain": address, "sha256": sha256, "sha1": sha1, "none": none}[settings.email]
