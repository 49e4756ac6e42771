"""The Content-Type header of a lead (RFC 9110 section 8.3): which encoding, in which charset.

Total over any text. A header that cannot be read, or says two things, is an unsupported media type.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from gateway.datapost.reasons import Reason
from gateway.lead.texts import UNKNOWN_CHARSET, codec_of
from gateway.lead.values import Undecodable

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"[ \t]*({_WORD})/({_WORD})[ \t]*").match
_PARAMETER = re.compile(
    # RFC 9110 5.6.6: a parameter may be missing between semicolons, and there is no blank around "=".
    rf';[ \t]*(?:({_WORD})=(?:({_WORD})|"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)"))?[ \t]*'
).match
_ESCAPED = re.compile(r"\\(.)").sub

MISSING = Undecodable(Reason.UNSUPPORTED_MEDIA_TYPE, "there is no content type")
UNREADABLE = Undecodable(Reason.UNSUPPORTED_MEDIA_TYPE, "the content type cannot be read")
NOT_TAKEN = Undecodable(Reason.UNSUPPORTED_MEDIA_TYPE, "this content type is not taken here")

#: What almost every client sends, word for word: read once when a program is compiled.
USUAL = tuple(
    essence + charset
    for essence in ("application/x-www-form-urlencoded", "application/json", "application/xml", "text/xml")
    for charset in ("", ";charset=utf-8", "; charset=utf-8", ";charset=UTF-8", "; charset=UTF-8")
)


@dataclass(frozen=True, slots=True)
class Media:
    """encoding: form, json or xml. codec: Python's name of the charset, None when the header names none."""

    encoding: str
    codec: str | None


def read_media(header: str | None, accept: Collection[str]) -> Media | Undecodable:
    """What a Content-Type header says; `accept` holds the encodings that are taken."""
    if not header:
        return MISSING
    if (found := _TYPE(header)) is None:
        return UNREADABLE
    label = None
    position = found.end()
    while position < len(header):
        if (parameter := _PARAMETER(header, position)) is None:
            return UNREADABLE
        position = parameter.end()
        name, token, quoted = parameter.groups()
        if name is not None and name.lower() == "charset":
            if label is not None:
                return UNREADABLE
            label = token if token is not None else _ESCAPED(r"\1", quoted)

    encoding = _encoding(found[1].lower(), found[2].lower())
    if encoding not in accept:
        return NOT_TAKEN
    if label is None:
        return Media(encoding, None)
    codec = codec_of(label)
    return UNKNOWN_CHARSET if codec is None else Media(encoding, codec)


def _encoding(kind: str, subtype: str) -> str:
    if (kind, subtype) == ("application", "x-www-form-urlencoded"):
        return "form"
    if (kind, subtype) == ("application", "json") or subtype.endswith("+json"):
        return "json"
    if (kind in {"application", "text"} and subtype == "xml") or subtype.endswith("+xml"):
        return "xml"
    return ""
