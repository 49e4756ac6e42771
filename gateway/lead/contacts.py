"""E-mail addresses and phone numbers: the grammar is the libraries', what we take of it is decided here.

Both libraries cost more than the rest of a lead together, so the commonest spellings take a short way first. It gives
what the library gives for them, or leaves them to it; tests hold the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat

# Lower-case ASCII atoms, and labels without the double hyphens of IDNA. Within 64 characters no length rule of
# RFC 5321 can be broken, and lower case is what the library would make of it.
_plain_address = re.compile(
    r"[a-z0-9_+-]++(?:\.[a-z0-9_+-]++)*+@(?:[a-z0-9]++(?:-[a-z0-9]++)*+\.)++([a-z]{2,63})"
).fullmatch
_SPECIAL = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)


# RFC 5321 takes 254; NFC and IDNA may shorten what was typed. Beyond this the library's scans only cost time.
_LONGEST_ADDRESS = 1000


def read_email(text: str) -> str | None:
    """The address with NFC applied and its domain in lower case; None when it is none (RFC 5321; no DNS)."""
    if len(text) <= 64 and (found := _plain_address(text)) and found[1] not in _SPECIAL:
        return text
    if len(text) > _LONGEST_ADDRESS:
        return None
    try:
        return validate_email(text, check_deliverability=False, strict=True).normalized
    except EmailNotValidError:
        return None


#: Regions whose numbers a region's programs take too: they share its country code, and people there its programs
#: and state codes. Canada and the Caribbean, which share the code of the US as well, are other countries.
_BELONGING = {"US": ("US", "PR", "GU", "VI", "AS", "MP"), "GB": ("GB", "GG", "IM", "JE")}

# Letters (1-800-FLOWERS), extensions, URIs and digits of other scripts, all of which the library would take, are not
# what a dialler can use without guessing.
_viable = re.compile(r"\+?[0-9(][0-9() ./-]{2,38}").fullmatch
_north_american = re.compile(
    r"(?:\+?1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-]?)[2-9][0-9]{2}[ .-]?[0-9]{4}"
).fullmatch
_NO_DIGITS = dict.fromkeys(map(ord, "+() .-"))


def known_region(region: str) -> bool:
    """Whether there is a numbering plan for an ISO 3166 code."""
    return region in phonenumbers.SUPPORTED_REGIONS


def compile_phone(region: str) -> Callable[[str], str | None]:
    """A reader of phone numbers of one region, in its national or in international form: E.164, or None."""
    regions = _BELONGING.get(region, (region,))
    short_way = phonenumbers.country_code_for_region(region) == 1
    belongs, e164 = phonenumbers.is_valid_number_for_region, PhoneNumberFormat.E164

    def read_phone(text: str) -> str | None:
        if short_way and _north_american(text):
            national = text.translate(_NO_DIGITS)[-10:]
            number = PhoneNumber(country_code=1, national_number=int(national))
            return f"+1{national}" if any(belongs(number, one) for one in regions) else None
        if not _viable(text):
            return None
        try:
            number = phonenumbers.parse(text, region)
        except NumberParseException:
            return None
        if not any(belongs(number, one) for one in regions):
            return None
        return phonenumbers.format_number(number, e164)

    return read_phone
