"""Whether an answer keeps the contract, judged without the code that makes answers.

Every answer that any test sees goes through `validate_answer`: the published schemas, the canonical bytes
(written anew by the standard library and compared), and what schemas cannot say of a note.
"""

from __future__ import annotations

import json
import re
from functools import cache
from xml.sax.saxutils import escape

import jsonschema_rs
from lxml import etree

from gateway.datapost import schemas
from gateway.datapost.reasons import Reason

MEMBERS = ("valid", "uniqueid", "sale_amount", "customerid", "email", "note")
SLUGS = {reason.slug for reason in Reason}
#: What a note must not hold outside its machine part's brackets.
FORBIDDEN = set('[]<>&"\\')

_machine_part = re.compile(r" (\[([a-z_]+) ref=([0-9A-Z]{26})((?: [^ =]+=[^ =]+)*)\])$")


@cache
def _json_schema() -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(json.loads(schemas.json_schema()), validate_formats=True)


@cache
def _xsd() -> etree.XMLSchema:
    return etree.XMLSchema(etree.fromstring(schemas.xsd().encode()))


def validate_answer(body: bytes, content_type: str) -> dict[str, object]:
    """The six members of a conformant answer, `valid` a bool; AssertionError for any other."""
    if content_type == "application/json; charset=utf-8":
        members = _read_json(body)
    else:
        assert content_type == "application/xml; charset=utf-8", content_type
        members = _read_xml(body)
    _json_schema().validate({"dataPostResponse": members})
    assert tuple(members) == MEMBERS
    check_note(str(members["note"]), valid=members["valid"] is True)
    return members


def check_note(note: str, *, valid: bool) -> None:
    """What holds of every note, whatever it says."""
    assert 0 < len(note) <= 255
    text = note
    if not valid:
        found = _machine_part.search(note)
        assert found is not None, "no machine part"
        assert len(found[1]) <= 160
        assert found[2] in SLUGS
        text = note[: found.start()]
    assert text.strip(" ") == text != ""
    assert text.isprintable()
    assert not FORBIDDEN & set(text)


def _read_json(body: bytes) -> dict[str, object]:
    document = json.loads(body, object_pairs_hook=_once)
    assert body == json.dumps(document, ensure_ascii=False).encode(), "not the canonical bytes"
    _json_schema().validate(document)
    members: dict[str, object] = document["dataPostResponse"]
    return members


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    assert len(members) == len(pairs), "a member stands twice"
    return members


def _read_xml(body: bytes) -> dict[str, object]:
    root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
    _xsd().assertValid(root)
    texts = {str(child.tag): child.text or "" for child in root}
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in texts.items())
    canonical = f'<?xml version="1.0" encoding="UTF-8"?><dataPostResponse>{inner}</dataPostResponse>'
    assert body == canonical.encode(), "not the canonical bytes"
    return {name: text == "true" if name == "valid" else text for name, text in texts.items()}
