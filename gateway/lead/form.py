"""`application/x-www-form-urlencoded` bodies (WHATWG URL section 5.1), read strictly.

`&` separates pairs, empty ones are skipped; the first `=` separates name and value, a pair without one is a name
with an empty value; `+` is a space. A `%` that begins no escape is malformed, and so are names and values that
are not valid text in the charset. Every other byte stands for itself, raw spaces and raw non-ASCII text
included: careless clients send them and there is but one way to read them.
"""

from __future__ import annotations

import re
from binascii import a2b_qp

from yarl import query_to_pairs

from gateway.datapost.reasons import Reason
from gateway.lead.texts import NOT_IN_CHARSET, TOO_MANY_FIELDS, UTF_8, forbidden
from gateway.lead.values import Lead, Undecodable

BAD_ESCAPE = Undecodable(Reason.MALFORMED, "a percent sign begins no escape")

_bad_escape = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
# Nothing but ASCII that a lead may hold, raw or escaped: the same text in every charset taken, and nothing left to
# check. Possessive, so each runs through a hostile body once.
_ESCAPE = rb"%(?:[2-6][0-9A-Fa-f]|7[0-9A-Ea-e]|0[9ADad])"
_plain = re.compile(rb"[ -$&-~\t\r\n]*+(?:" + _ESCAPE + rb"[ -$&-~\t\r\n]*+)*+").fullmatch
# The same with one equals sign in each pair, as every library writes it.
_PART = rb"[ -$'-<>-~\t\r\n]*+(?:" + _ESCAPE + rb"[ -$'-<>-~\t\r\n]*+)*+"
_usual = re.compile(_PART + rb"=" + _PART + rb"(?:&" + _PART + rb"=" + _PART + rb")*+").fullmatch
# Separators become a character that no such form holds; for the escapes see `_unquoted`.
_MARKED = bytes.maketrans(b"&=+%", b"\0\0 =")


def read_form(body: bytes, codec: str | None, max_fields: int) -> Lead | Undecodable:
    """A form as a lead. codec None: UTF-8. Empty pairs count as fields, so that `&&&…` is bounded too."""
    if body.count(b"&") >= max_fields:
        return TOO_MANY_FIELDS
    if _usual(body):
        texts = iter(a2b_qp(body.translate(_MARKED)).decode("ascii").split("\0"))
        return Lead(tuple(zip(texts, texts, strict=True)), "form")
    if _plain(body):
        return Lead(tuple(query_to_pairs(body.decode("ascii"))), "form")
    if _bad_escape(body):
        return BAD_ESCAPE
    codec = codec or UTF_8
    try:
        text = body.decode(codec)
        pairs = query_to_pairs(text) if codec == UTF_8 else _strict_pairs(text, codec)
        # The fast reader writes U+FFFD for escapes that are not UTF-8; a partner may have meant it as well.
        if codec == UTF_8 and any("\ufffd" in name or "\ufffd" in value for name, value in pairs):
            pairs = _strict_pairs(text, codec)
    except UnicodeDecodeError:
        return NOT_IN_CHARSET
    if (wrong := forbidden(pairs)) is not None:
        return wrong
    return Lead(tuple(pairs), "form")


def _strict_pairs(text: str, codec: str) -> list[tuple[str, str]]:
    """The same by way of bytes, for any codec. Raises UnicodeDecodeError for escapes that are no text in it."""
    halves = (pair.partition("=") for pair in text.replace("+", " ").split("&") if pair)
    return [(_unquoted(name, codec), _unquoted(value, codec)) for name, _, value in halves]


def _unquoted(part: str, codec: str) -> str:
    if "%" not in part:
        return part
    # Quoted-printable with another sign: once raw equals signs are escaped as well and no bad escape is left, the
    # decoder of mail bodies is a percent decoder, twenty times faster than the standard library's own.
    return a2b_qp(part.encode(codec).replace(b"=", b"%3D").replace(b"%", b"=")).decode(codec)
