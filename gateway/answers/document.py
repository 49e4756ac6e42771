"""A legacy answer as rules see it: status, headers, text, and views of the text built when they are first asked for.

Kind is told by content, never by Content-Type; views do not depend on the kind (sections 6.3 and 6.4).
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_plus

from gateway.answers import jsontext
from gateway.answers.limits import NODES, LimitHit
from gateway.answers.markup import TAG, Element, is_html_page, parse_html, parse_xml

KINDS = ("json", "xml", "html", "form", "text", "empty")

_FORM = re.compile(r"[\w.%+\[\]-]+=[^\s&]*(?:&[\w.%+\[\]-]+(?:=[^\s&]*)?)*&?")
_LOOSE_FORM = re.compile(r"[\w.%+\[\]-]+=[^\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")


class LegacyAnswer(NamedTuple):
    """What the legacy endpoint answered, framing already undone.

    headers: in the order received, names in any case. surplus: bytes stood behind the body; they are not in it.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    surplus: bool = False


class _Unbuilt:
    __slots__ = ()


_UNBUILT = _Unbuilt()


class Document:
    """One answer, opened. `found` collects what named groups of the rule being tried have matched."""

    __slots__ = (
        "_form",
        "_json",
        "_keep_namespaces",
        "_kind",
        "_octets",
        "_page",
        "_xml",
        "found",
        "headers",
        "status",
        "text",
    )

    def __init__(
        self, status: int, headers: tuple[tuple[str, str], ...], text: str, keep_namespaces: bool = False
    ) -> None:
        self.status = status
        self.headers = headers
        self.text = text
        self.found: dict[str, str] = {}
        self._keep_namespaces = keep_namespaces
        self._octets: bytes | None = None
        self._kind: str | None = None
        self._json: object = _UNBUILT
        self._xml: Element | _Unbuilt | None = _UNBUILT
        self._page: Element | _Unbuilt | None = _UNBUILT
        self._form: dict[str, list[object]] | None = None

    def unwrapped(self, text: str) -> Document:
        """The same answer with another text."""
        return Document(self.status, self.headers, text, self._keep_namespaces)

    @property
    def octets(self) -> bytes:
        """The text as UTF-8, which is what patterns search."""
        if self._octets is None:
            self._octets = self.text.encode("utf-8", "replace")
        return self._octets

    @property
    def kind(self) -> str:
        """json, xml, html, form, text or empty. Raises LimitHit."""
        if self._kind is None:
            self._kind = self._find_kind()
        return self._kind

    def _find_kind(self) -> str:
        text = self.text
        if not text:
            return "empty"
        value = self.json
        if value is not jsontext.NOTHING and not isinstance(value, jsontext.Number):
            return "json"
        if "<" in text:
            if self.xml is not None:
                return "xml"
            if TAG.search(text) is not None:
                return "html"
        if "=" in text and _FORM.fullmatch(text) is not None:
            return "form"
        return "text"

    @property
    def apparent_kind(self) -> str:
        """The kind, guessed where finding it out hits a limit."""
        try:
            return self.kind
        except LimitHit:
            if self.text[0] != "<":
                return "json"
            return "html" if is_html_page(self.text) else "xml"

    @property
    def json(self) -> object:
        """The JSON value that the text is, or NOTHING. Raises LimitHit."""
        if self._json is _UNBUILT:
            self._json = jsontext.parse(self.text)
        return self._json

    @property
    def xml(self) -> Element | None:
        """The root of the XML document that the text is, if it is one. Raises LimitHit."""
        if isinstance(self._xml, _Unbuilt):
            is_page = is_html_page(self.text)
            self._xml = None if is_page else parse_xml(self.text, keep_namespaces=self._keep_namespaces)
        return self._xml

    @property
    def page(self) -> Element | None:
        """The root of the HTML page that the text is, if there is a tag in it. Raises LimitHit."""
        if isinstance(self._page, _Unbuilt):
            self._page = parse_html(self.text)
        return self._page

    @property
    def tree(self) -> Element | None:
        """What XPath works on: XML, or else HTML. Raises LimitHit."""
        root = self.xml
        return root if root is not None else self.page

    @property
    def form(self) -> dict[str, list[object]]:
        """Fields of an `a=1&b=2` text, decoded; none when it is none."""
        if self._form is None:
            self._form = fields(self.text) if _LOOSE_FORM.fullmatch(self.text) else {}
        return self._form

    def header(self, name: str) -> list[object]:
        """Values of the header lines of a name (in lower case), as sent."""
        return [
            value if value.isascii() else _SURROGATE.sub("\ufffd", value)
            for key, value in self.headers
            if len(key) == len(name) and key.lower() == name
        ]


def fields(text: str) -> dict[str, list[object]]:
    """Name -> values of `a=1&b=2`, percent and plus decoded, raw blanks tolerated (WHATWG URL 5.1)."""
    if text.count("&") > NODES:
        raise LimitHit
    found: dict[str, list[object]] = {}
    for part in text.split("&"):
        if part:
            name, _, value = part.partition("=")
            found.setdefault(_plain(name).strip(), []).append(_plain(value))
    return found


def _plain(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text


def query_values(url: str, name: str) -> list[str]:
    """Values of a query parameter of a URL, absolute or relative; the fragment does not count."""
    query = url.partition("#")[0].partition("?")[2]
    return [str(value) for value in fields(query).get(name, ())] if query else []
