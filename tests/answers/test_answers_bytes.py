"""From bytes to document: codings, charsets, kinds, repairs, views (section 6 of the language), and its limits (7)."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from lxml import etree

from gateway.answers import Answers, LegacyAnswer
from gateway.answers.limits import LimitHit
from gateway.answers.markup import guard, parse_html
from tests.support.blocks import answer

Reader = Callable[..., Answers]

JSON = '{"v": "é", "id": 7}'
ANY = "rules: [{when: {status: 200}, verdict: rejected}]\nuniqueid: {from: body}"


def pack_deflate_bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP ": gzip.compress,
    "deflate": zlib.compress,
    "deflate, identity": pack_deflate_bare,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "gzip, br": lambda data: brotli.compress(gzip.compress(data)),
    "identity": bytes,
}


@pytest.mark.parametrize(("coding", "pack"), PACKERS.items(), ids=PACKERS)
def test_content_codings_are_undone_last_one_first(reader: Reader, coding: str, pack: Callable[[bytes], bytes]) -> None:
    reading = reader(ANY).read(answer(pack(JSON.encode()), Content_Encoding=coding))
    assert (reading.kind, reading.uniqueid) == ("json", JSON)


@pytest.mark.parametrize(("coding", "pack"), [one for one in PACKERS.items() if one[0] != "identity"])
@pytest.mark.parametrize("damage", ["cut", "followed", "other"])
def test_a_body_that_does_not_decompress_is_not_recognised(
    reader: Reader, coding: str, pack: Callable[[bytes], bytes], damage: str
) -> None:
    packed = pack(JSON.encode() * 3)
    body = {"cut": packed[:-3], "followed": packed + b"junk", "other": b"OK|98|10.00|177" * 4}[damage]
    answers = reader(ANY)
    reading = answers.read(answer(body, Content_Encoding=coding))
    assert (reading.verdict, reading.kind, reading.limited) == (None, "text", False)
    assert answers.explain(answer(body, Content_Encoding=coding)).opened is False


@pytest.mark.parametrize("coding", ["compress", "gzip, gzip, gzip, gzip"])
def test_an_unknown_coding_or_too_many_are_not_recognised(reader: Reader, coding: str) -> None:
    assert reader(ANY).read(answer("x", Content_Encoding=coding)).verdict is None


def test_members_of_one_gzip_file_are_joined_and_an_empty_body_is_empty(reader: Reader) -> None:
    packed = gzip.compress(b"OK") + gzip.compress(b"|98")
    assert reader(ANY).read(answer(packed, Content_Encoding="gzip")).uniqueid == "OK|98"
    assert reader(ANY).read(answer(b"", Content_Encoding="gzip")).kind == "empty"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_is_stopped_at_a_hundred_times_its_size_and_at_the_largest_answer(reader: Reader, coding: str) -> None:
    bomb = PACKERS[coding](b"0" * 20_000_000)
    assert reader(ANY).read(answer(bomb, Content_Encoding=coding)).limited
    noise = bytes(index * 7919 % 251 for index in range(3000))
    packed = PACKERS[coding](noise)
    assert not reader(ANY, max_answer=3000).read(answer(packed, Content_Encoding=coding)).limited
    assert reader(ANY, max_answer=2999).read(answer(packed, Content_Encoding=coding)).limited


def test_a_body_beyond_the_largest_answer_is_not_recognised(reader: Reader) -> None:
    answers = reader(ANY, max_answer=10)
    assert answers.read(answer("x" * 10)).verdict is not None
    assert answers.read(answer("x" * 11)).limited


# --- charset --------------------------------------------------------------------------------------

DECLARED = '<?xml version="1.0" encoding="{}"?><r>é</r>'


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode(), "text/plain", "é"),
        ("é".encode("latin-1"), "text/plain; charset=ISO-8859-1", "é"),
        (b"\x93a\x94", "text/plain; charset=iso-8859-1", "\u201ca\u201d"),
        ("é".encode("latin-1"), "text/plain", "é"),
        (b"\xe9\x81", "text/plain; charset=iso-8859-1", "é\ufffd"),
        ("é".encode(), "text/plain; charset=ascii", "é"),
        ("é".encode(), 'text/plain; charset="nonsense"', "é"),
        (b"+ADw-b+AD4-", "text/plain; charset=utf-7", "+ADw-b+AD4-"),
        ("łé".encode("iso-8859-2"), "text/plain; charset=iso-8859-2", "łé"),
        ("\ufeffé".encode(), "text/plain; charset=iso-8859-2", "é"),
        ("\ufeff\ufeff é \ufeff".encode(), "", "é"),
        ("\ufeffé".encode("utf-16-le"), "", "é"),
        ("\ufeffé".encode("utf-16-be"), "", "é"),
        ("\ufeffé".encode("utf-32-le"), "", "é"),
        ("\ufeffé".encode("utf-32-be"), "", "é"),
        ("OKé".encode("utf-16-le"), "text/plain; charset=utf-16", "OKé"),
        ("OKé".encode("utf-16-be"), "text/plain; charset=utf-16", "OKé"),
        (b"OK", "text/plain; charset=utf-16", "OK"),
        ("é".encode(), "text/plain; charset=utf-32", "é"),
        (b"a\r\nb\rc\n", "", "a\nb\nc"),
        (b"a\x00b", "", "a\x00b"),
    ],
)
def test_the_first_charset_that_decodes_all_of_it_gives_the_text(
    reader: Reader, body: bytes, content_type: str, text: str
) -> None:
    assert reader(ANY).read(answer(body, Content_Type=content_type)).uniqueid == text


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (DECLARED.format("iso-8859-1").encode("latin-1"), "é"),
        (DECLARED.format("utf-16").encode(), "é"),
        (DECLARED.format("utf-7").encode(), "é"),
        (DECLARED.format("utf-16").encode("utf-16"), "é"),
        (b"  \n" + DECLARED.format("iso-8859-1").encode("latin-1"), "é"),
        ('<html><meta charset="windows-1251"><r>Ж</r>'.encode("cp1251"), "Ж"),
        ("<html><meta http-equiv=x content='text/html; charset=windows-1251'><r>Ж</r>".encode("cp1251"), "Ж"),
    ],
)
def test_a_charset_declared_in_the_document_counts_unless_it_is_a_lie(reader: Reader, body: bytes, value: str) -> None:
    answers = reader("rules: [{when: {status: 200}, verdict: rejected}]\nuniqueid: {xpath: //r | self::r}")
    assert answers.read(answer(body)).uniqueid == value


def test_the_charset_of_the_block_is_tried_before_all_others(reader: Reader) -> None:
    body = "Жé".encode()
    assert reader("charset: koi8-r\n" + ANY).read(answer(body)).uniqueid == body.decode("koi8-r")
    assert reader("charset: shift_jis\n" + ANY).read(answer(b"\xff\xfe")).uniqueid is None
    wide = reader("charset: utf-16\n" + ANY)
    assert wide.read(answer("OK".encode("utf-16-le"))).uniqueid == "OK"
    assert wide.read(answer("OK".encode("utf-16"))).uniqueid == "OK"
    assert wide.read(answer(b"odd")).uniqueid == "odd"


# --- kind -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("", "empty"),
        ("\ufeff \r\n", "empty"),
        ("{}", "json"),
        (' ["a"] ', "json"),
        ('"text"', "json"),
        ("true", "json"),
        ("null", "json"),
        ("10", "text"),
        ("truely", "text"),
        ("False", "text"),
        ("{'a': 1}", "text"),
        ('{"a": 1, "a": 2}', "text"),
        ('{"a": NaN}', "text"),
        ('{"a": 1} x', "text"),
        ("[1,]", "text"),
        ('cb({"a": 1})', "json"),
        ("/**/ a.b.c( [1] );", "json"),
        ("cb(10)", "text"),
        ("cb()", "text"),
        ("cb(x)", "text"),
        ("f(a) b;", "text"),
        ("<a>x</a>", "xml"),
        ("<a>x</a><b/>", "xml"),
        ("<a>x</a>tail", "xml"),
        ("<![CDATA[x]]>", "text"),
        ("<!-- c --><a/>", "xml"),
        ("<a>R&D &nbsp; &foo; &amp; &#233;</a>", "xml"),
        ("<a><![CDATA[R&D &nbsp;]]></a>", "xml"),
        ('<?xml version="1.0"?><!DOCTYPE a SYSTEM "x.dtd"><a/>', "xml"),
        ("<!DOCTYPE a PUBLIC 'x' \"y\" ><a/>", "xml"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "html"),
        ("<!DOCTYPE a [", "html"),
        ("<!DOCTYPE>", "html"),
        ("<a:b><a:c d:e='1'/></a:b>", "xml"),
        ("<a:b/><a:c/>", "xml"),
        ("<a:b/><c></a:b>", "html"),
        ("<a><b></a></b>", "html"),
        ("<id>1</status>", "html"),
        ("<a>\x01</a>", "html"),
        ("<p>a<br>b</p>", "html"),
        ("<html><body/></html>", "html"),
        ("<!DOCTYPE html><html><body/></html>", "html"),
        ("<!doctype\n html><p/>", "html"),
        ("Sorry<br>again", "html"),
        ("a </b> c", "html"),
        ("1 < 2 and 3 > 2", "text"),
        ("<3", "text"),
        ("a=1&b=2", "form"),
        ("a=&b&c[0]=%20+x&", "form"),
        ("status=ok", "form"),
        ("a=1 b", "text"),
        ("OK|98|10.00|177", "text"),
    ],
)
def test_the_kind_is_told_by_the_content(reader: Reader, body: str, kind: str) -> None:
    assert reader(ANY).read(answer(body, Content_Type="image/png")).kind == kind


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("<a>R&D &copy; &foo; &lt; &#233; &Zfr; &</a>", "R&D © &foo; < é ℨ &"),
        ("<a><![CDATA[R&D &copy;]]><!-- & --><?x &?></a>", "R&D &copy;"),
        ("<a>x</a>", "x"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a>x</a>', "x"),
        ("<a>x &#0; y</a>", None),
    ],
)
def test_repairs_of_xml_do_not_change_a_meaning(reader: Reader, body: str, value: str | None) -> None:
    answers = reader("rules: [{when: {kind: xml}, verdict: rejected}]\nuniqueid: {xpath: .}")
    assert answers.read(answer(body)).uniqueid == value


def test_undeclared_prefixes_keep_their_document_together_unless_namespaces_count(reader: Reader) -> None:
    body = '<s:Envelope x:y="2"><s:Body><id>7</id></s:Body></s:Envelope>'
    ignoring = reader("when: {kind: xml}\nverdict: rejected\nuniqueid: {xpath: /Envelope/Body/id}\nnote: {xpath: '@y'}")
    reading = ignoring.read(answer(body))
    assert (reading.uniqueid, reading.note) == ("7", "2")
    assert ignoring.read(answer("<a:b>1</a:b>tail")).verdict is not None
    counting = reader("namespaces: {s: urn:s}\nwhen: {kind: xml}\nverdict: rejected")
    assert counting.read(answer(body)).kind == "html"
    assert counting.read(answer("<a:b/><a:c/>")).kind != "xml"


# --- limits ---------------------------------------------------------------------------------------

VIEWS = """
rules: [{when: {any: [{json: a}, {xpath: //a}, {css: a}, {form: a}, {status: 200}]}, verdict: rejected}]
uniqueid: {first: [{json: '[*]'}, {json: '..a'}, {xpath: //b}, {css: i}, {form: c}, {text: 'z'}]}
"""
HTML = "<!doctype html>"


@pytest.mark.parametrize(
    ("body", "limited"),
    [
        ("[" * 100 + "]" * 100, False),
        ("[" * 101 + "]" * 101, True),
        ('{"a":' * 150 + "1" + "}" * 150, True),
        ("[" * 50_000, True),
        ('{"x": "' + "[" * 200 + '"}', False),
        ('{"x": [' + ",".join(["[]"] * 9_900) + "]}", False),
        ('{"x": [' + ",".join(["1"] * 20_001) + "]}", True),
        ('{"x": "' + "," * 30_000 + '"}', False),
        ('"" ' * 110_000, True),
        ("<a>" * 100 + "</a>" * 100, False),
        ("<a>" * 101 + "</a>" * 101, True),
        ("<a>" * 300 + "</a>" * 300, True),
        ("<x/>" + "<a>" * 300 + "</a>" * 300, True),
        ("<a:b/>" + "<a>" * 300 + "</a>" * 300, True),
        ("<a:b>" * 300 + "</a:b>" * 300, True),
        ("<p>" + "<br>" * 300, False),
        ("<r>" + "<c/>" * 19_999 + "</r>", False),
        ("<r>" + "<c/>" * 20_001 + "</r>", True),
        ("<r " + " ".join(f'a{number}="1"' for number in range(20_001)) + "/>", True),
        ("<r>" + "&" * 20_001 + "</r>", True),
        (HTML + "<c>x" * 95, False),
        (HTML + "<c>x" * 105, True),
        (HTML + "<div>" * 5_000, True),
        (HTML + "<hr>" * 20_001, True),
        (HTML + "<p " + " ".join(f"a{number}" for number in range(100_000)) + ">", True),
        (HTML + "<p " + " ".join(f"a{number}" for number in range(5_000)) + ">", False),
        (HTML + "x " * 50_000 + "<p>y", False),
        ("[" + ",".join(["1"] * 100) + "]", False),
        ("[" + ",".join(["1"] * 101) + "]", True),
        ("<r>" + "<b/>" * 101 + "</r>", True),
        (HTML + "<i>x</i>" * 101, True),
        ("c=" + "&c=" * 200, False),
        ("c=" + "&c=" * 20_001, True),
        ("z" * 100, False),
        ("z" * 101, True),
    ],
)
def test_what_is_too_deep_too_large_or_too_many_is_not_recognised(reader: Reader, body: str, limited: bool) -> None:
    reading = reader(VIEWS).read(answer(body))
    assert reading.limited == limited
    assert (reading.verdict is None) == limited
    assert reading.kind in ("json", "xml", "html", "form", "text")


@pytest.mark.parametrize(
    "source",
    [
        "{join: [{json: 'a[*]'}, {json: 'a[*]'}]}",
        "{json: s, matches: '.'}",
        "{json: 'a[*]', matches: '..', as: '{}'}",
        "{json: 's', matches: '..', decode: url}",
    ],
)
def test_a_hundred_values_are_the_most_a_source_selects(reader: Reader, source: str) -> None:
    answers = reader(f"rules: [{{when: {{status: 200}}, verdict: rejected}}]\nnote: {source}")
    few = '{"a": [' + ",".join(["11"] * 50) + '], "s": "' + "y" * 100 + '"}'
    many = '{"a": [' + ",".join(["1111"] * 51) + '], "s": "' + "y" * 202 + '"}'
    assert not answers.read(answer(few)).limited
    assert answers.read(answer(many)).limited


def test_a_note_of_more_than_a_hundred_texts_is_not_recognised(reader: Reader) -> None:
    answers = reader("rules: [{when: {status: 200}, verdict: rejected}]\nnote: {json: a}")
    assert answers.read(answer('{"a": {' + ",".join(f'"k{n}": "t"' for n in range(100)) + "}}")).verdict is not None
    assert answers.read(answer('{"a": {' + ",".join(f'"k{n}": "t"' for n in range(101)) + "}}")).limited


DEEP = "<r>" + ("<a>" * 98 + "</a>" * 98) * 200 + "</r>"
FLAT = "<r>" + "<a/>" * 5_000 + "</r>"


@pytest.mark.parametrize(
    ("path", "body", "limited"),
    [
        ("//a//b", DEEP, True),
        ("//a/descendant::b", DEEP, True),
        ("//b[.//c]", DEEP, True),
        ("//a/ancestor::b", DEEP, True),
        ("//b", DEEP, False),
        ("//a/following-sibling::b", FLAT, True),
        ("//a/preceding-sibling::b", FLAT, True),
        ("//a[../b]", "<r>" + "<a/>" * 6_000 + "</r>", True),
        ("//a[/r/b]", "<r>" + "<a/>" * 6_000 + "</r>", True),
        ("//b[../a]", FLAT, False),
        ("//a/parent::b", FLAT, False),
        ("//c[following-sibling::d]", "<r><c/><d/></r>", False),
        ("//a//b", FLAT, False),
    ],
)
def test_a_path_that_would_take_seconds_is_given_up(reader: Reader, path: str, body: str, limited: bool) -> None:
    answers = reader(
        f"rules: [{{when: {{xpath: '{path}', exists: false}}, verdict: rejected}}]\nnote: {{xpath: '{path}'}}"
    )
    assert answers.read(answer(body)).limited == limited


def test_a_css_path_is_bounded_like_an_xpath(reader: Reader) -> None:
    answers = reader("rules: [{when: {css: 'a ~ b', exists: false}, verdict: rejected}]")
    assert answers.read(answer(HTML + "<a></a>" * 5_000)).limited
    assert not answers.read(answer(HTML + "<a></a>" * 50)).limited


def test_a_json_path_visits_so_many_nodes_and_no_more(reader: Reader) -> None:
    answers = reader("rules: [{when: {json: '$..[?count(@..*) > 1000000]', exists: false}, verdict: rejected}]")
    assert answers.read(answer("[" * 60 + ",".join(["1"] * 5_000) + "]" * 60)).limited
    assert not answers.read(answer("[" * 60 + ",".join(["1"] * 50) + "]" * 60)).limited


# --- the guard before the HTML parser -------------------------------------------------------------


def attributes(count: int) -> str:
    return " ".join(f"a{number}" for number in range(count))


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(f"<p {attributes(30_000)}>", id="plain"),
        pytest.param("<p" + "".join(f"/a{number}" for number in range(30_000)) + ">", id="slashes"),
        pytest.param("<p " + "".join(f'a{number}=">"' for number in range(30_000)) + ">", id="quoted ends"),
        pytest.param(f"<!--><p {attributes(30_000)}> -->", id="an empty comment"),
        pytest.param(f"<!--x--!><p {attributes(30_000)}> -->", id="a comment's other end"),
        pytest.param(f"<title><script></title><p {attributes(30_000)}></script>", id="a script in a title"),
        pytest.param(f'<script>a<b c="</script><p {attributes(30_000)}><i d=">', id="a tag in a script"),
        pytest.param(f"<script/><p {attributes(30_000)}></script>", id="a script that ends at once"),
        pytest.param(f"<!x '><p {attributes(30_000)}>'>", id="a quote in a doctype"),
        pytest.param(f"</p '><p {attributes(30_000)}>'>", id="a quote in an end tag"),
        pytest.param(f"<plaintext><p {attributes(30_000)}>", id="plaintext"),
    ],
)
def test_no_element_with_a_flood_of_attributes_reaches_the_parser(page: str) -> None:
    try:
        root = parse_html("<b></b>" + page)
    except LimitHit:
        return
    assert root is not None
    assert max(len(element.attrib) for element in root.iter(etree.Element)) <= 100


def texts(found: object) -> object:
    return [getattr(one, "text", one) for one in found] if isinstance(found, list) else found


def test_a_long_page_is_read_as_it_was_before_it_was_taken_apart() -> None:
    page = (
        "<!DOCTYPE html><html><head><title>A <b> c</title><script>if (a<b) { x = '<!-- </p>'; }</script></head>"
        "<body class='x y'><!-- hidden <p> --><p id=\"m\">1 < 2 &amp; <B>bold</B></p></ ><?php ?><br/><i/><p/>x"
        "<script src='a'/>y</body></html>"
    )
    padding = "word " * 10_000
    assert guard(page) is page
    long = parse_html(page + padding)
    short = parse_html(page)
    assert long is not None
    assert short is not None
    for path in ("//title", "//p", "//b", "//@class", "//br", "//i", "count(//br | //i | //script)", "//script/@src"):
        assert texts(long.xpath(path)) == texts(short.xpath(path))
    script = long.xpath("string(//script)")
    assert script == "if (a<b) { x = '<!- - </p>'; }"


def test_markup_without_anything_to_parse_is_no_page() -> None:
    assert parse_html("no tag < here") is None


def test_headers_of_the_same_name_are_joined_for_codings_and_the_first_type_counts(reader: Reader) -> None:
    body = brotli.compress(gzip.compress("é".encode("latin-1")))
    headers = (
        ("content-encoding", "gzip"),
        ("Content-Encoding", "br"),
        ("content-type", "a/b; charset=latin-1"),
        ("Content-Type", "a/b; charset=utf-16"),
    )
    assert reader(ANY).read(LegacyAnswer(200, headers, body)).uniqueid == "é"
