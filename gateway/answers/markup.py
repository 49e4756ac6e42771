"""XML and HTML as legacy systems send it: what is repaired, what is refused, and what a parser may cost.

XML is read strictly by libxml2 after the few repairs that cannot change a meaning (section 6.5 of the language);
no DOCTYPE, entity or file is ever looked at. HTML is read leniently, as browsers do, by libxml2's HTML5 tokenizer;
it is quadratic in the attributes of one element, so those are counted before it sees the page.
"""

from __future__ import annotations

import copy
import html
import re
from dataclasses import dataclass
from html.entities import html5

from lxml import etree

from gateway.answers.limits import ATTRIBUTES, DEPTH, NODES, LimitHit

Element = etree._Element

_XML = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    huge_tree=False,
    load_dtd=False,
    dtd_validation=False,
    remove_comments=True,
    remove_pis=True,
    recover=False,
)
_HTML = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
_DOCUMENT_END = 5  # libxml2's XML_ERR_DOCUMENT_END: something stands behind the root
_UNDEFINED_PREFIX = 201  # XML_NS_ERR_UNDEFINED_NAMESPACE
_TOO_DEEP = 114  # XML_ERR_RESOURCE_LIMIT
_XSI_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"

#: Something a browser would take for a tag, an end tag or a doctype.
TAG = re.compile(r"<(?:!doctype\b|/?[a-z][a-z0-9:-]*(?:[\s/][^<>]*)?>)", re.IGNORECASE)
_HTML_START = re.compile(r"<(?:!doctype\s+html|html)\b", re.IGNORECASE)

_DECLARATION = re.compile(r"<\?xml\s[^>]*\?>\s*")
_BEFORE_DOCTYPE = re.compile(r"(?:\s+|<!--.*?-->|<\?.*?\?>)*", re.DOTALL)
_DOCTYPE = re.compile(r"""<!DOCTYPE\s+[^\s>\[]+(?:\s+(?:"[^"]*"|'[^']*'|SYSTEM|PUBLIC))*\s*(>|\[)""")
_AMPERSAND = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|&(?:(#[0-9]+|#x[0-9a-fA-F]+|amp|lt|gt|quot|apos);|([A-Za-z][A-Za-z0-9]*;)?)",
    re.DOTALL,
)
_PREFIX = re.compile(r"</?([A-Za-z_][\w.-]*):|\s([A-Za-z_][\w.-]*):[\w.-]+\s*=")
_START = re.compile(r"<[^\W\d]|<[:]")


# --- XML ------------------------------------------------------------------------------------------


def is_html_page(text: str) -> bool:
    """Whether a text says itself that it is HTML, which then is never read as XML."""
    return _HTML_START.match(text) is not None


def parse_xml(text: str, *, keep_namespaces: bool) -> Element | None:
    """The root of the XML document that `text` (stripped) is after the repairs; None when it is none.

    Several roots, or text behind the root, get a root of our own around them. Raises LimitHit.
    """
    if text[:1] != "<":
        return None
    text = _DECLARATION.sub("", text, count=1) if text.startswith("<?xml") else text
    before = _BEFORE_DOCTYPE.match(text)
    at = before.end() if before else 0
    if text.startswith("<!DOCTYPE", at):
        doctype = _DOCTYPE.match(text, at)
        if doctype is None or doctype[1] == "[":
            return None  # an internal subset can define entities; it is not read, so the text is not understood
        text = text[:at] + text[doctype.end() :]
    if "&" in text:
        if text.count("&") > NODES:
            raise LimitHit
        text = _AMPERSAND.sub(_ampersand, text)
    _measure(text)
    root = _parse_repaired(text, keep_namespaces)
    if root is None:
        return None
    _check_depth(root, text)
    if ":" in text:
        _strip_nil(root)
        if not keep_namespaces:
            _strip_namespaces(root)
    return root


def _code(error: etree.XMLSyntaxError) -> int:
    code: int = error.code  # type: ignore[attr-defined]
    return code


def _ampersand(found: re.Match[str]) -> str:
    whole, name = found[0], found[2]
    if whole[0] != "&" or found[1] is not None:
        return whole
    character = html5.get(name) if name else None
    return character if character is not None else "&amp;" + whole[1:]


def _parse_repaired(text: str, keep_namespaces: bool) -> Element | None:
    try:
        return etree.fromstring(text.encode("utf-8", "replace"), _XML)
    except etree.XMLSyntaxError as error:
        code = _code(error)
    if code == _TOO_DEEP:
        _refuse_depth(text)
        return None
    if code == _UNDEFINED_PREFIX and not keep_namespaces:
        return _declared(text)
    if code != _DOCUMENT_END:
        return None
    wrapped = f"<_>{text}</_>"
    try:
        root = etree.fromstring(wrapped.encode("utf-8", "replace"), _XML)
    except etree.XMLSyntaxError as error:
        if _code(error) == _TOO_DEEP:
            _refuse_depth(text)
        return _declared(wrapped) if _code(error) == _UNDEFINED_PREFIX and not keep_namespaces else None
    return root


def _declared(text: str) -> Element | None:
    """Prefixes that nobody declared mean nothing where namespaces are ignored: declare them outside, parse again."""
    prefixes = sorted({found[1] or found[2] for found in _PREFIX.finditer(text)} - {"xml", "xmlns"})
    declarations = " ".join(f'xmlns:{prefix}="urn:{number}"' for number, prefix in enumerate(prefixes))
    try:
        outer = etree.fromstring(f"<_ {declarations}>{text}</_>".encode("utf-8", "replace"), _XML)
    except etree.XMLSyntaxError as error:
        if _code(error) == _TOO_DEEP:
            _refuse_depth(text)
        return None
    # Without the helper above it, so that `/Root/Child` means what it says.
    return copy.deepcopy(outer[0]) if len(outer) == 1 and not (outer[0].tail or "").strip() else outer


def _refuse_depth(text: str) -> None:
    # libxml2 gives up at level 256, before it knows whether the tags ever close. A page of unclosed <br> or <p>
    # is no XML and may still be HTML; what is as deep and balanced is an answer that is not read.
    opened = len(_START.findall(text)) - text.count("/>")
    if opened <= text.count("</"):
        raise LimitHit


def _measure(text: str) -> None:
    _measure_tags(text)
    if text.count("=") > NODES and text.count('="') + text.count("='") > NODES:
        raise LimitHit


def _measure_tags(text: str) -> None:
    signs = text.count("<")  # of start tags, end tags, comments and the like
    if signs > NODES and (signs > 3 * NODES or len(_START.findall(text)) > NODES):
        raise LimitHit


def _strip_nil(root: Element) -> None:
    for element in root.iter(etree.Element):
        if element.get(_XSI_NIL) in ("true", "1"):
            element.text = None
            for child in list(element):
                element.remove(child)


def _strip_namespaces(root: Element) -> None:
    for element in root.iter(etree.Element):
        tag = str(element.tag)
        if tag[0] == "{":
            element.tag = tag.rpartition("}")[2]
        for attribute, value in element.items():
            name = str(attribute)
            if name[0] == "{":
                del element.attrib[name]
                local = name.rpartition("}")[2]
                if element.get(local) is None:  # the one without a prefix stays
                    element.set(local, value)


# --- HTML -----------------------------------------------------------------------------------------


def parse_html(text: str) -> Element | None:
    """The root of the page that `text` is; None when there is no tag in it. Raises LimitHit."""
    if "<" not in text or TAG.search(text) is None:
        return None
    try:
        root = etree.fromstring(guard(text).encode("utf-8", "replace"), _HTML)
    except etree.ParserError:
        return None
    except etree.XMLSyntaxError as error:
        if _code(error) == _TOO_DEEP:
            raise LimitHit from None
        return None
    if root is None:
        return None
    _check_depth(root, text)
    return root


# The HTML5 tokenizer's tokens (WHATWG HTML 13.2.5), possessive so that each character is looked at once. Attributes
# are separated by blanks, slashes or the end of a quoted value; quotes mean something only behind an equals sign.
_ATTRIBUTE = r"""[\s/]*+[^\s/>][^\s/>=]*+(?>\s*+=\s*+(?>"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>"'][^\s>]*+|))?+"""
_ATTRIBUTES = re.compile(_ATTRIBUTE)
_TOKEN = re.compile(
    rf"<(?:([A-Za-z][^\s/>]*+)((?>{_ATTRIBUTE})*+)[\s/]*+(?:>|\Z)"  # a start tag: name, attributes
    r"|/([A-Za-z][^\s/>]*+)[^>]*+(?:>|\Z)"  # an end tag
    r"|!--(?:>|->|(?s:.*?)(?:--!?>|\Z))"  # a comment
    r"|[!?/][^>]*+(?:>|\Z)"  # a doctype, or what browsers take for a comment
    r"|)"  # a bare <
)
_RAW = re.compile(r"(?:script|style|textarea|title|xmp|iframe|noembed|noframes|noscript)", re.IGNORECASE)
_SEPARATORS = 6000


def guard(text: str) -> str:
    """The page as it may be given to libxml2; raises LimitHit for one that would take it long.

    libxml2 looks for each attribute among all earlier ones of its element, so 256 KiB of attributes in one tag take
    it five seconds. Whatever way a page is read, it has at most one attribute for each separator; with few of them
    (40 ms at worst) it may pass as it is. A longer page is split into tags here, in one linear pass, and put together
    so that there is only one way to read it; then its attributes can be counted.
    """
    _measure_tags(text)
    quotes = text.count('"') + text.count("'")
    if len(text) <= _SEPARATORS or len(text.split()) + text.count("/") + quotes // 2 <= _SEPARATORS:
        return text
    return _canonical(text)


def _canonical(text: str) -> str:
    parts: list[str] = []
    at = 0
    while (token := _TOKEN.search(text, at)) is not None:
        parts.append(text[at : token.start()])
        at = token.end()
        name, end_name = token[1], token[3]
        if name is not None:
            if len(token[2]) > ATTRIBUTES and len(_ATTRIBUTES.findall(token[2])) > ATTRIBUTES:
                raise LimitHit
            if not text.endswith(">", token.end(2), at) or name.lower() == "plaintext":
                continue  # the text ends inside it; or it would never end
            parts.append(f"<{name}{token[2]}>")
            if text.endswith("/>", token.end(2), at):
                parts.append(f"</{name}>")  # libxml2 ends an element there, browsers do not
            elif _RAW.fullmatch(name):
                end = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(text, at)
                stop = end.start() if end is not None else len(text)
                raw = text[at:stop]
                # No parser may see a tag or an escape in here, whether or not it knows the element for a raw one.
                parts.append(raw.replace("<!--", "<!- -") if name.lower() in ("script", "style") else html.escape(raw))
                if end is None:
                    parts.append(f"</{name}>")
                at = stop
        elif end_name is not None:
            parts.append(f"</{end_name}>")
        elif token[0] == "<":
            parts.append("&lt;")
    parts.append(text[at:])
    return "".join(parts)


# --- measures -------------------------------------------------------------------------------------


def _check_depth(root: Element, text: str) -> None:
    if text.count("<") <= DEPTH:
        return  # each level needs a tag
    level = [root]
    for _ in range(DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return
    raise LimitHit


@dataclass(frozen=True, slots=True)
class Shape:
    """What makes paths over a tree costly."""

    elements: int
    descents: int  # pairs of an element and one of its descendants, those of the root left out
    siblings_squared: int  # sum over all elements
    siblings_cubed: int
    characters: int


def shape(root: Element) -> Shape:
    """Measure a tree (at most NODES elements)."""
    elements = descents = squared = cubed = characters = 0
    level, depth = [root], 0
    while level:
        elements += len(level)
        descents += max(0, depth - 1) * len(level)
        below: list[Element] = []
        for element in level:
            children = len(element)
            squared += children**2
            cubed += children**3
            characters += len(element.text or "") + len(element.tail or "")
            below.extend(element)
        level, depth = below, depth + 1
    return Shape(elements, descents, squared, cubed, characters)


# --- text of elements -----------------------------------------------------------------------------

_BLOCKS_WORDS = """
    address article aside blockquote br dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr label
    main nav ol p pre section table tbody td tfoot th thead title tr ul
"""
_BLOCKS = frozenset(_BLOCKS_WORDS.split())
ITEM = "\x1e"  # between list items, which a note counts as separate values


def element_text(element: Element) -> str:
    """Text of an element and its descendants, without script and style inside it; not trimmed."""
    if len(element) == 0:
        return element.text or ""
    parts: list[str] = []
    _gather(element, parts, spaced=False)
    return "".join(parts)


def element_note(element: Element) -> str:
    """The same for people: blanks where blocks begin and end, ITEM where list items do."""
    parts: list[str] = []
    _gather(element, parts, spaced=True)
    return "".join(parts)


def _gather(element: Element, parts: list[str], *, spaced: bool) -> None:
    if element.text:
        parts.append(element.text)
    for child in element:
        tag = child.tag if isinstance(child.tag, str) else ""
        edge = "" if not spaced else ITEM if tag == "li" else " " if tag in _BLOCKS else ""
        parts.append(edge)
        if tag not in ("script", "style"):
            _gather(child, parts, spaced=spaced)
        parts.append(edge)
        if child.tail:
            parts.append(child.tail)


_HIDDEN = re.compile(
    r"<script\b[^>]*>.*?(?:</script\s*>|\Z)|<style\b[^>]*>.*?(?:</style\s*>|\Z)|<!--.*?(?:-->|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_ITEM_TAG = re.compile(r"</?li\b[^<>]*>", re.IGNORECASE)
_BLOCK_TAG = re.compile(rf"</?(?:{'|'.join(sorted(_BLOCKS))})\b[^<>]*>", re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)", re.DOTALL)


def strip_markup(text: str) -> str:
    """Text without its tags: blanks where blocks begin and end, ITEM where list items do. Entities stay."""
    text = _CDATA.sub(r"\1", text)
    text = _HIDDEN.sub(" ", text)
    text = _ITEM_TAG.sub(ITEM, text)
    text = _BLOCK_TAG.sub(" ", text)
    return TAG.sub("", text)
