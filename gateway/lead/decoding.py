"""A body and its Content-Type -> a lead: the choice of decoder, made once per program."""

from __future__ import annotations

from collections.abc import Callable

from gateway.lead.form import read_form
from gateway.lead.jsons import read_json
from gateway.lead.media import USUAL, read_media
from gateway.lead.values import Lead, Undecodable
from gateway.lead.xmls import read_xml
from gateway.settings.models import LeadSettings

#: (Content-Type header, body) -> lead. Total: whatever the bytes are, it raises nothing.
Decoder = Callable[[str | None, bytes], Lead | Undecodable]

_READERS: dict[str, Callable[[bytes, str | None, int], Lead | Undecodable]] = {
    "form": read_form,
    "json": read_json,
    "xml": read_xml,
}


def compile_decoder(settings: LeadSettings, *, max_fields: int) -> Decoder:
    """The decoder of a program that takes `settings.accept` and at most `max_fields` fields in a lead."""
    accept = frozenset(settings.accept)
    usual = {header: read_media(header, accept) for header in USUAL}

    def decode(content_type: str | None, body: bytes) -> Lead | Undecodable:
        media = usual.get(content_type) if content_type is not None else None
        if media is None:
            media = read_media(content_type, accept)
        if isinstance(media, Undecodable):
            return media
        return _READERS[media.encoding](body, media.codec, max_fields)

    return decode
