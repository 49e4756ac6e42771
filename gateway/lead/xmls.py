"""XML bodies (XML 1.0, Namespaces in XML 1.0): the root's children are the fields, by their local names.

Nested elements become dotted names; attributes are ignored; text beside elements is malformed, since nobody knows
what the legacy endpoint would make of it. A document type, processing instructions and charsets off the list are
refused before the parser sees them. The bytes are decoded here, by the same rules as every other body, and
handed on as UTF-8; a charset in the header, a byte order mark and the XML declaration must not disagree (RFC 7303
section 3 would let the first win, but not every legacy parser does).

The parser is the standard library's expat, not lxml: libxml2 under lxml keeps each new element name in a table of the
thread until that thread ends, so partners could grow the process without bound (measured: 360,000 names, 21 MB).
What makes expat dangerous begins with a document type, and there is none.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from gateway.datapost.reasons import Reason
from gateway.lead.texts import (
    BLANK,
    MAX_NAME,
    NAME_TOO_LONG,
    NOT_IN_CHARSET,
    TOO_MANY_FIELDS,
    UNKNOWN_CHARSET,
    UTF_8,
    codec_of,
    forbidden,
)
from gateway.lead.values import Lead, Undecodable

MAX_DEPTH = 64
MAX_ELEMENTS = 1000
MAX_ATTRIBUTES = 100  # of one element, namespace declarations included
MAX_MARKUP = 4 * MAX_ELEMENTS  # tags, comments and CDATA sections
#: Bytes. The loop waits while expat works, and the worst body (nothing but line ends) costs it 45 ms a MiB.
MAX_BODY = 1024 * 1024

NOT_XML = Undecodable(Reason.MALFORMED, "the body is not well-formed XML")
DOCUMENT_TYPE = Undecodable(Reason.MALFORMED, "a document type is not taken in XML")
INSTRUCTION = Undecodable(Reason.MALFORMED, "a processing instruction is not taken in XML")
TWO_CHARSETS = Undecodable(Reason.MALFORMED, "the XML says two different charsets")
TOO_DEEP = Undecodable(Reason.MALFORMED, "the XML is nested too deeply")
TOO_MANY_ATTRIBUTES = Undecodable(Reason.MALFORMED, "an XML element has too many attributes")
TOO_MANY_ELEMENTS = Undecodable(Reason.TOO_LARGE, "the XML holds too many elements")
MIXED = Undecodable(Reason.MALFORMED, "the XML holds text beside elements")
TOO_LONG = Undecodable(Reason.TOO_LARGE, "the XML is too long")

_BOM = b"\xef\xbb\xbf"
_declares = re.compile(rb"<\?xml[ \t\r\n]").match
_declaration = re.compile(
    rb"""<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:'1\.0'|"1\.0")
    (?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:'([A-Za-z][A-Za-z0-9._-]*)'|"([A-Za-z][A-Za-z0-9._-]*)"))?
    (?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:'(?:yes|no)'|"(?:yes|no)"))?[ \t\r\n]*\?>""",
    re.VERBOSE,
).match
# A start tag with its quoted values; `>` may stand in them, `<` may not.
_VALUES = rb"""<[^<>"']*+(?:(?:"[^<"]*+"|'[^<']*+')[^<>"']*+)"""
_start_tag = re.compile(_VALUES + rb"{0,%d}+>" % MAX_ATTRIBUTES).match
_crowded_tag = re.compile(_VALUES + rb"{%d}" % (MAX_ATTRIBUTES + 1)).match


def read_xml(body: bytes, codec: str | None, max_fields: int) -> Lead | Undecodable:
    """An XML document as a lead. codec: what the header says; None when it says nothing."""
    if len(body) > MAX_BODY:
        return TOO_LONG
    document = _as_utf_8(body, codec)
    if isinstance(document, Undecodable):
        return document
    if (excess := _excess(document)) is not None:
        return excess
    fields = _Fields()
    try:
        fields.read(document)
    except expat.ExpatError:
        return NOT_XML
    except _Refused as refused:
        return refused.why
    if len(fields.pairs) > max_fields:
        return TOO_MANY_FIELDS
    if (wrong := forbidden(fields.pairs)) is not None:
        return wrong
    return Lead(tuple(fields.pairs), "xml", fields.listed())


def _as_utf_8(body: bytes, codec: str | None) -> bytes | Undecodable:
    """The document without byte order mark and XML declaration, in UTF-8 whatever it came in."""
    said = {codec} if codec is not None else set()
    start = 0
    if body.startswith(_BOM):
        said.add(UTF_8)
        start = len(_BOM)
    if _declares(body, start):
        if (declaration := _declaration(body, start)) is None:
            return NOT_XML
        start = declaration.end()
        if (label := declaration[1] or declaration[2]) is not None:
            if (declared := codec_of(label.decode("ascii"))) is None:
                return UNKNOWN_CHARSET
            said.add(declared)
    if len(said) > 1:
        return TWO_CHARSETS
    try:
        return body[start:].decode(said.pop() if said else UTF_8).encode(UTF_8)
    except UnicodeDecodeError:
        return NOT_IN_CHARSET


def _excess(document: bytes) -> Undecodable | None:
    """Walk through the markup without building anything, so that no shape of document costs much to refuse.

    In a well-formed document this counts exactly what the parser will see; any other one the parser refuses.
    """
    # Told that it is given UTF-8, expat still takes `<` and NUL in front for UTF-16, and a mark for a mark.
    if b"\x00" in document or document.startswith(_BOM):
        return NOT_XML
    depth = elements = markup = 0
    at = document.find(b"<")
    while at >= 0:
        markup += 1
        if markup > MAX_MARKUP:
            return TOO_MANY_ELEMENTS
        match document[at + 1 : at + 2]:
            case b"/":
                depth -= 1
                end = document.find(b">", at)
            case b"?":
                return INSTRUCTION
            case b"!" if document.startswith(b"<!--", at):
                end = document.find(b"-->", at + 4)
            case b"!" if document.startswith(b"<![CDATA[", at):
                end = document.find(b"]]>", at + 9)
            case b"!":
                return DOCUMENT_TYPE
            case _:
                if (tag := _start_tag(document, at)) is None:
                    return TOO_MANY_ATTRIBUTES if _crowded_tag(document, at) else NOT_XML
                end = tag.end() - 1
                elements += 1
                if elements > MAX_ELEMENTS:
                    return TOO_MANY_ELEMENTS
                if document[end - 1 : end] != b"/":
                    depth += 1
                if depth > MAX_DEPTH:
                    return TOO_DEEP
        if end < 0:
            return NOT_XML
        at = document.find(b"<", end)
    return None


class _Refused(Exception):
    def __init__(self, why: Undecodable) -> None:
        super().__init__(why.text)
        self.why = why


class _Fields:
    """Collects the leaves of a document while the parser runs through it."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self._paths: list[tuple[str, ...]] = []  # of each pair: the dotted names from the root to it
        self._names: list[str] = []  # dotted, of each open element; the root's is empty
        self._text: list[list[str]] = []  # of each open element
        self._children: list[set[str]] = []  # local names met in each open element
        self._repeated: set[str] = set()  # dotted names of elements met more than once in their parent

    def read(self, document: bytes) -> None:
        """Raises ExpatError or _Refused. A parser reads one document, and is freed with its names."""
        parser = expat.ParserCreate(UTF_8, " ", {})
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        # Both were refused before; should expat ever see one that we did not, it ends here.
        parser.StartDoctypeDeclHandler = self._document_type
        parser.ProcessingInstructionHandler = self._instruction
        parser.Parse(document, True)

    def listed(self) -> frozenset[str]:
        """The names that are, or stand inside, an element met more than once."""
        if not self._repeated:
            return frozenset()
        return frozenset(path[-1] for path in self._paths if not self._repeated.isdisjoint(path))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        dotted = ""
        if self._names:
            local = name.rpartition(" ")[2]
            dotted = f"{self._names[-1]}.{local}" if self._names[-1] else local
            if len(dotted) > MAX_NAME:
                raise _Refused(NAME_TOO_LONG)
            if local in self._children[-1]:
                self._repeated.add(dotted)
            self._children[-1].add(local)
        self._names.append(dotted)
        self._text.append([])
        self._children.append(set())

    def _end(self, name: str) -> None:
        text, children = "".join(self._text.pop()), self._children.pop()
        if len(self._names) > 1 and not children:
            self.pairs.append((self._names[-1], text))
            self._paths.append(tuple(self._names))
        elif text.strip(BLANK):
            raise _Refused(MIXED)
        self._names.pop()

    def _characters(self, text: str) -> None:
        self._text[-1].append(text)

    def _document_type(self, *declaration: object) -> None:
        raise _Refused(DOCUMENT_TYPE)

    def _instruction(self, target: str, text: str) -> None:
        raise _Refused(INSTRUCTION)
