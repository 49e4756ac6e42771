from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.datapost.reasons import Reason
from gateway.lead import Lead, Undecodable, xmls
from gateway.lead.texts import (
    CONTROL_CHARACTER,
    NAME_TOO_LONG,
    NOT_IN_CHARSET,
    NOT_TEXT,
    TOO_MANY_FIELDS,
    UNKNOWN_CHARSET,
)
from gateway.lead.xmls import (
    DOCUMENT_TYPE,
    INSTRUCTION,
    MIXED,
    NOT_XML,
    TOO_DEEP,
    TOO_LONG,
    TOO_MANY_ATTRIBUTES,
    TOO_MANY_ELEMENTS,
    TWO_CHARSETS,
    read_xml,
)


def read(body: bytes | str, codec: str | None = None, max_fields: int = 2000) -> Lead | Undecodable:
    return read_xml(body.encode() if isinstance(body, str) else body, codec, max_fields)


@pytest.mark.parametrize(
    ("body", "pairs"),
    [
        pytest.param("<lead/>", [], id="no fields"),
        pytest.param("<lead> \n</lead>", [], id="blanks alone"),
        pytest.param("<lead><b>2</b><a>1</a></lead>", [("b", "2"), ("a", "1")], id="order is kept"),
        pytest.param("<lead>\n <a> 1 </a>\n</lead>\n", [("a", " 1 ")], id="blanks between elements are none of theirs"),
        pytest.param("<lead><a/><b></b></lead>", [("a", ""), ("b", "")], id="empty elements"),
        pytest.param("<l><a><b><c>1</c></b></a><d>2</d></l>", [("a.b.c", "1"), ("d", "2")], id="nested are dotted"),
        pytest.param("<l><a.b>1</a.b></l>", [("a.b", "1")], id="a dot in a name"),
        pytest.param(
            '<x:l xmlns:x="u" xmlns="v"><x:a>1</x:a><b>2</b></x:l>', [("a", "1"), ("b", "2")], id="local names"
        ),
        pytest.param('<l><a type="x" xml:lang="en" id=">">1</a></l>', [("a", "1")], id="attributes are ignored"),
        pytest.param("<l><a>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;</a></l>", [("a", "<&>\"'AB")], id="references"),
        pytest.param("<l><a><![CDATA[<b>&amp;]]]]><![CDATA[>]]></a></l>", [("a", "<b>&amp;]]>")], id="CDATA"),
        pytest.param("<l><!-- <x> --><a>1<!-- - -->2</a></l><!-- -->", [("a", "12")], id="comments leave no gap"),
        pytest.param("<l><a>1\r\n2\r3</a></l>", [("a", "1\n2\n3")], id="line ends by XML 1.0 2.11"),
        pytest.param("<l><é>José</é></l>", [("é", "José")], id="UTF-8"),
        pytest.param("<l><a>&#x1F600;</a></l>", [("a", "\U0001f600")], id="beyond the basic plane"),
        pytest.param('<l><a xsi:nil="true" xmlns:xsi="i"/></l>', [("a", "")], id="nil is empty"),
        pytest.param("<l><a>1</a ></l >", [("a", "1")], id="blanks in end tags"),
        pytest.param('<?xml version="1.0"?><l><a>1</a></l>', [("a", "1")], id="declaration"),
        pytest.param("<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\n<l/>", [], id="whole declaration"),
        pytest.param("\ufeff<l><a>1</a></l>", [("a", "1")], id="byte order mark"),
        pytest.param('\ufeff<?xml version="1.0" encoding="UTF-8"?><l/>', [], id="mark and declaration"),
    ],
)
def test_the_children_of_the_root_are_the_fields(body, pairs):
    assert read(body) == Lead(tuple(pairs), "xml")


@pytest.mark.parametrize(
    ("body", "listed"),
    [
        pytest.param("<l><a>1</a><a>2</a></l>", {"a"}, id="siblings"),
        pytest.param("<l><a>1</a><b/><a/></l>", {"a"}, id="apart, one empty"),
        pytest.param('<l xmlns:x="u"><a>1</a><x:a>2</x:a></l>', {"a"}, id="one local name"),
        pytest.param("<l><v><m>1</m></v><v><y>2</y></v></l>", {"v.m", "v.y"}, id="what stands in a repeated element"),
        pytest.param("<l><a>1</a><a><b>2</b></a></l>", {"a", "a.b"}, id="once a leaf, once not"),
        pytest.param("<l><v><a>1</a></v><w><a>2</a></w></l>", set(), id="the same name in two parents is two names"),
    ],
)
def test_repeated_elements_are_told_as_listed(body, listed):
    found = read(body)
    assert isinstance(found, Lead)
    assert found.listed == listed


def test_two_ways_to_one_dotted_name_are_two_pairs():
    assert read("<l><a.b>1</a.b><a><b>2</b></a></l>") == Lead((("a.b", "1"), ("a.b", "2")), "xml")


NOT_WELL_FORMED = {
    "nothing": "",
    "blanks": " ",
    "no markup": "a=1",
    "not closed": "<l><a>1</a>",
    "tag not closed": "<l",
    "end tag not closed": "<l></l",
    "crossed": "<l><a><b></a></b></l>",
    "two roots": "<l/><l/>",
    "text behind": "<l/>x",
    "end tag first": "</l>",
    "case": "<l></L>",
    "undefined entity": "<l><a>&e;</a></l>",
    "bare ampersand": "<l><a>a & b</a></l>",
    "HTML entity": "<l><a>&nbsp;</a></l>",
    "attribute without quotes": "<l a=1/>",
    "attribute without value": "<l a/>",
    "attribute twice": '<l a="1" a="2"/>',
    "one attribute by two prefixes": '<l xmlns:x="u" xmlns:y="u" x:a="" y:a=""/>',
    "less-than in an attribute": '<l a="<"/>',
    "quote not closed": '<l a="/>',
    "prefix not bound": "<x:l/>",
    "name begins with a digit": "<1/>",
    "blank before the name": "< l/>",
    "empty tag": "<></>",
    "comment not closed": "<l><!-- </l>",
    "two hyphens in a comment": "<l><!-- a -- b --></l>",
    "CDATA not closed": "<l><![CDATA[ </l>",
    "CDATA end in text": "<l>]]></l>",
    "reference to NUL": "<l><a>&#0;</a></l>",
    "reference to a control": "<l><a>&#27;</a></l>",
    "reference to a surrogate": "<l><a>&#xD800;</a></l>",
    "reference beyond Unicode": "<l><a>&#x110000;</a></l>",
    "raw control": "<l><a>\x1b</a></l>",
    "raw NUL": "<l><a>\x00</a></l>",
    "two byte order marks": "\ufeff\ufeff<l/>",
    "byte order mark behind the declaration": "<?xml version='1.0'?>\ufeff<l/>",
    "declaration behind a blank": " <?xml version='1.0'?><l/>",
    "declaration twice": "<?xml version='1.0'?><?xml version='1.0'?><l/>",
    "declaration without version": "<?xml encoding='UTF-8'?><l/>",
    "version 1.1": "<?xml version='1.1'?><l/>",
    "declaration not closed": "<?xml version='1.0'",
    "declaration with another order": "<?xml version='1.0' standalone='yes' encoding='UTF-8'?><l/>",
    "encoding without a name": "<?xml version='1.0' encoding=''?><l/>",
}


@pytest.mark.parametrize("body", NOT_WELL_FORMED.values(), ids=NOT_WELL_FORMED)
def test_what_is_not_well_formed_is_malformed(body):
    assert read(body) in {NOT_XML, INSTRUCTION}


BOMBS = {
    "plain": "<!DOCTYPE l><l/>",
    "lower case": "<!doctype l><l/>",
    "external": '<!DOCTYPE l SYSTEM "file:///etc/passwd"><l/>',
    "entity": '<!DOCTYPE l [<!ENTITY e SYSTEM "file:///etc/passwd">]><l><a>&e;</a></l>',
    "parameter entity": '<!DOCTYPE l [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x"> %p;]><l/>',
    "billion laughs": '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>',
    "behind a declaration and a comment": "<?xml version='1.0'?><!-- --><!DOCTYPE l><l/>",
    "inside the root": "<l><!DOCTYPE l></l>",
    "behind the root": "<l/><!DOCTYPE l>",
    "another declaration": "<l><!ELEMENT a ANY></l>",
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS)
def test_any_document_type_is_malformed(body):
    assert read(body) == DOCUMENT_TYPE


@pytest.mark.parametrize(
    "body", ["<?a b?><l/>", "<l><?a?></l>", "<l/><?php echo 1 ?>", "<?xml-stylesheet href='x'?><l/>"]
)
def test_processing_instructions_are_malformed(body):
    assert read(body) == INSTRUCTION


def test_what_looks_like_them_in_text_is_text():
    body = "<l><a><![CDATA[<!DOCTYPE x><?php ?>]]></a><!-- <!DOCTYPE x> <?a?> --></l>"
    assert read(body) == Lead((("a", "<!DOCTYPE x><?php ?>"),), "xml")


def test_the_parser_is_stopped_by_its_own_events_as_well(monkeypatch):
    """Should the walk before it ever miss one, the parser's events end the reading."""
    monkeypatch.setattr(xmls, "_excess", lambda document: None)
    assert read("<!DOCTYPE l><l/>") == DOCUMENT_TYPE
    assert read("<l><?a b?></l>") == INSTRUCTION


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("<l>text</l>", id="in the root"),
        pytest.param("<l>text<a/></l>", id="before an element"),
        pytest.param("<l><a>x<b>1</b></a></l>", id="in a field"),
        pytest.param("<l><a>jane@example<x/>.com</a></l>", id="around an element"),
        pytest.param("<l><a/>\xa0</l>", id="a no-break space is text"),
        pytest.param("<l><a/>&#32;x</l>", id="by reference"),
    ],
)
def test_text_beside_elements_is_malformed(body):
    assert read(body) == MIXED


@pytest.mark.parametrize(
    ("body", "codec"),
    [
        pytest.param("<?xml version='1.0' encoding='ISO-8859-1'?><l><a>José</a></l>", None, id="declared latin-1"),
        pytest.param(
            '<?xml version="1.0" encoding="windows-1252"?><l><a>José</a></l>', None, id="declared windows-1252"
        ),
        pytest.param("<l><a>José</a></l>", "cp1252", id="in the header"),
        pytest.param("<?xml version='1.0' encoding='latin1'?><l><a>José</a></l>", "cp1252", id="in both"),
    ],
)
def test_a_charset_is_taken_from_the_header_or_the_declaration(body, codec):
    assert read(body.encode("cp1252"), codec) == Lead((("a", "José"),), "xml")


@pytest.mark.parametrize(
    ("body", "codec", "why"),
    [
        pytest.param(
            b"<?xml version='1.0' encoding='latin1'?><l/>", "utf-8", TWO_CHARSETS, id="header and declaration"
        ),
        pytest.param(b"<?xml version='1.0' encoding='UTF-8'?><l/>", "cp1252", TWO_CHARSETS, id="the other way round"),
        pytest.param(b"\xef\xbb\xbf<l/>", "cp1252", TWO_CHARSETS, id="header and mark"),
        pytest.param(
            b"\xef\xbb\xbf<?xml version='1.0' encoding='latin1'?><l/>", None, TWO_CHARSETS, id="mark, declaration"
        ),
        pytest.param(b"<?xml version='1.0' encoding='UTF-7'?><l>+ADw-</l>", None, UNKNOWN_CHARSET, id="UTF-7"),
        pytest.param(b"<?xml version='1.0' encoding='UTF-16'?><l/>", None, UNKNOWN_CHARSET, id="UTF-16 said"),
        pytest.param(b"<?xml version='1.0' encoding='EBCDIC-US'?><l/>", "utf-8", UNKNOWN_CHARSET, id="EBCDIC"),
        pytest.param("<l/>".encode("utf-16"), None, NOT_IN_CHARSET, id="UTF-16 meant"),
        pytest.param("<l/>".encode("utf-16-le"), None, NOT_XML, id="UTF-16 without a mark"),
        pytest.param("<l/>".encode("utf-16-be"), None, NOT_XML, id="UTF-16, big end first"),
        pytest.param(b"<l><a>\xe9</a></l>", None, NOT_IN_CHARSET, id="latin-1 that does not say so"),
        pytest.param(b"<l><a>\xed\xa0\x80</a></l>", None, NOT_IN_CHARSET, id="surrogate"),
        pytest.param(
            b"<?xml version='1.0' encoding='latin1'?><l><a>\x81</a></l>", None, NOT_IN_CHARSET, id="unassigned"
        ),
    ],
)
def test_charsets_that_disagree_or_are_not_taken_are_refused(body, codec, why):
    assert read(body, codec) == why


@pytest.mark.parametrize("text", ["&#x85;", "\x7f"])
def test_control_characters_that_xml_would_take_are_malformed(text):
    assert read(f"<l><a>{text}</a></l>") == CONTROL_CHARACTER


@pytest.mark.parametrize("text", ["&#xFDD0;", "\ufdd0", "&#x1FFFE;"])
def test_non_characters_that_xml_would_take_are_malformed(text):
    assert read(f"<l><a>{text}</a></l>") == NOT_TEXT


def test_depth_is_bounded_at_64_levels():
    assert read("<a>" * 64 + "</a>" * 64) == Lead(((".".join(["a"] * 63), ""),), "xml")
    assert read("<a>" * 65 + "</a>" * 65) == TOO_DEEP
    assert read("<a>" * 100_000) == TOO_DEEP


def test_the_number_of_elements_is_bounded_at_1000():
    assert isinstance(read(f"<l>{'<a/>' * 999}</l>"), Lead)
    assert read(f"<l>{'<a/>' * 1000}</l>") == TOO_MANY_ELEMENTS
    assert read(f"<l>{'<!---->' * 5000}</l>") == TOO_MANY_ELEMENTS
    assert TOO_MANY_ELEMENTS.reason is Reason.TOO_LARGE


def test_the_number_of_attributes_is_bounded_at_100():
    def root(count: int) -> str:
        return "<l " + " ".join(f"a{n}='>'" for n in range(count)) + "/>"

    assert read(root(100)) == Lead((), "xml")
    assert read(root(101)) == TOO_MANY_ATTRIBUTES
    assert read(root(50_000)) == TOO_MANY_ATTRIBUTES


def test_the_length_of_a_document_is_bounded_at_one_mebibyte():
    def document(size: int) -> str:
        return f"<l><a>{'x' * (size - 14)}</a></l>"

    assert isinstance(read(document(1024 * 1024)), Lead)
    assert read(document(1024 * 1024 + 1)) == TOO_LONG
    assert TOO_LONG.reason is Reason.TOO_LARGE


def test_the_number_of_fields_is_bounded():
    assert isinstance(read("<l><a/><b/></l>", max_fields=2), Lead)
    assert read("<l><a/><b/><c/></l>", max_fields=2) == TOO_MANY_FIELDS


def test_a_dotted_name_cannot_grow_without_bound():
    outer = "n" * 500
    assert isinstance(read(f"<l><{outer}><{'m' * 499}/></{outer}></l>"), Lead)
    assert read(f"<l><{outer}><{'m' * 500}/></{outer}></l>") == NAME_TOO_LONG


@pytest.mark.parametrize(
    "body",
    [
        "<" * 60_000,
        "<a" * 30_000,
        "<a '" * 15_000,
        "<a b='" + '"' * 60_000,
        "<!--" + "-" * 60_000,
        "<?xml " + " " * 60_000,
    ],
)
def test_hostile_markup_is_walked_through_in_linear_time(body):
    assert isinstance(read(body), Undecodable)


PIECES = [
    "<a>", "</a>", "<b/>", "<b", ">", "/>", "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "<!DOCTYPE", "x", " ",
    "&amp;", "&", "'", '"', "='", "xmlns='u' ", "p:", "<?xml version='1.0'", " encoding='", "utf-8", "é",
    "latin1", "\x00",
]  # fmt: skip


@settings(max_examples=800, deadline=None)
@given(
    st.binary() | st.lists(st.sampled_from(PIECES)).map(lambda parts: "".join(parts).encode()),
    st.sampled_from([None, "utf-8", "cp1252"]),
)
def test_reading_xml_is_total(body, codec):
    assert isinstance(read(body, codec), (Lead, Undecodable))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES)).map(lambda parts: f"<r>{''.join(parts)}</r>".encode()))
def test_what_lxml_reads_differently_is_never_a_lead(body):
    """A second parser as oracle: what is read as a lead is well-formed to libxml2 as well, with the same leaves."""
    from lxml import etree

    found = read(body)
    if isinstance(found, Lead):
        root = etree.fromstring(body, etree.XMLParser(remove_comments=True, resolve_entities=False, no_network=True))
        leaves = [element for element in root.iter() if len(element) == 0 and element is not root]
        assert [text for _, text in found.pairs] == [element.text or "" for element in leaves]
