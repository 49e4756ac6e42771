"""The six members as bytes: canonical, since platforms run regular expressions over them.

One line, UTF-8, no byte order mark, no trailing newline; in JSON `": "` and `", "` exactly so and non-ASCII
characters as they are; in XML no attributes, namespaces, CDATA or self-closed elements. Notes, IDs and
amounts need no escaping; a customer's number or an address may, and gets it.

Total over any text. XML cannot hold control characters, surrogates or U+FFFE and U+FFFF (XML 1.0 section
2.2); tabs and line ends would break the one line. They become U+FFFD in both formats, so that both always
say the same. The contract itself makes no member that holds one.
"""

from __future__ import annotations

import re

import orjson

from gateway.datapost.negotiate import Format
from gateway.datapost.values import DataPostResponse

_JSON = (
    b'{"dataPostResponse": {"valid": %b, "uniqueid": %b, "sale_amount": %b, "customerid": %b, "email": %b, "note": %b}}'
)
_XML = (
    '<?xml version="1.0" encoding="UTF-8"?><dataPostResponse><valid>{}</valid><uniqueid>{}</uniqueid>'
    "<sale_amount>{}</sale_amount><customerid>{}</customerid><email>{}</email><note>{}</note></dataPostResponse>"
).format
_not_for_xml = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]").sub


def render(answer: DataPostResponse, format: Format) -> bytes:
    """The answer in this format."""
    if not f"{answer.uniqueid}{answer.sale_amount}{answer.customerid}{answer.email}{answer.note}".isprintable():
        answer = _scrubbed(answer)
    return _json(answer) if format is Format.JSON else _xml(answer)


def _json(answer: DataPostResponse) -> bytes:
    dumps = orjson.dumps
    return _JSON % (
        b"true" if answer.valid else b"false",
        dumps(answer.uniqueid),
        dumps(answer.sale_amount),
        dumps(answer.customerid),
        dumps(answer.email),
        dumps(answer.note),
    )


def _xml(answer: DataPostResponse) -> bytes:
    return _XML(
        "true" if answer.valid else "false",
        _escaped(answer.uniqueid),
        _escaped(answer.sale_amount),
        _escaped(answer.customerid),
        _escaped(answer.email),
        _escaped(answer.note),
    ).encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _scrubbed(answer: DataPostResponse) -> DataPostResponse:
    return answer._replace(
        uniqueid=_not_for_xml("\ufffd", answer.uniqueid),
        sale_amount=_not_for_xml("\ufffd", answer.sale_amount),
        customerid=_not_for_xml("\ufffd", answer.customerid),
        email=_not_for_xml("\ufffd", answer.email),
        note=_not_for_xml("\ufffd", answer.note),
    )
