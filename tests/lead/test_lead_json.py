from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.datapost.reasons import Reason
from gateway.lead import Lead, Undecodable
from gateway.lead.jsons import DUPLICATE_KEY, NOT_AN_OBJECT, NOT_JSON, TOO_DEEP, TOO_MANY_NODES, read_json
from gateway.lead.texts import CONTROL_CHARACTER, NAME_TOO_LONG, NOT_IN_CHARSET, NOT_TEXT, TOO_MANY_FIELDS


def read(body: bytes | str, codec: str | None = None, max_fields: int = 2000) -> Lead | Undecodable:
    return read_json(body.encode() if isinstance(body, str) else body, codec, max_fields)


@pytest.mark.parametrize(
    ("body", "pairs"),
    [
        pytest.param("{}", [], id="empty object"),
        pytest.param(' \t\r\n{"a" : "1"}\n', [("a", "1")], id="white space"),
        pytest.param('{"b":"2","a":"1"}', [("b", "2"), ("a", "1")], id="order is kept"),
        pytest.param('{"a":1.50}', [("a", "1.50")], id="trailing zero"),
        pytest.param('{"a":1234567890123456789}', [("a", "1234567890123456789")], id="19 digits"),
        pytest.param('{"a":1e400}', [("a", "1e400")], id="beyond a float"),
        pytest.param('{"a":-0.0}', [("a", "-0.0")], id="minus zero"),
        pytest.param('{"a":1E+2}', [("a", "1E+2")], id="exponent as written"),
        pytest.param(f'{{"a":{"9" * 5000}}}', [("a", "9" * 5000)], id="more digits than int() takes"),
        pytest.param('{"a":true,"b":false}', [("a", "true"), ("b", "false")], id="true and false are words"),
        pytest.param('{"a":null}', [], id="null is absent"),
        pytest.param('{"a":{"b":{"c":"1"}},"d":2}', [("a.b.c", "1"), ("d", "2")], id="nested objects are dotted names"),
        pytest.param('{"a":{}}', [], id="an empty nested object is nothing"),
        pytest.param('{"a.b":1,"a":{"b":2}}', [("a.b", "1"), ("a.b", "2")], id="two ways to one dotted name"),
        pytest.param('{"":"1"}', [("", "1")], id="empty key"),
        pytest.param('{"a":""}', [("a", "")], id="empty text"),
        pytest.param('{"a":"\\u00e9\\ud83d\\ude00"}', [("a", "é\U0001f600")], id="escapes"),
        pytest.param('{"a":"\\t\\r\\n\\/"}', [("a", "\t\r\n/")], id="TAB, CR, LF"),
        pytest.param('{"a":"é"}', [("a", "é")], id="UTF-8"),
        pytest.param('{"a":"[{,}]\\""}', [("a", '[{,}]"')], id="brackets in a string"),
    ],
)
def test_an_object_becomes_names_and_text_as_written(body, pairs):
    assert read(body) == Lead(tuple(pairs), "json")


@pytest.mark.parametrize(
    ("body", "pairs", "listed"),
    [
        pytest.param('{"a":["1","2"],"b":3}', [("a", "1"), ("a", "2"), ("b", "3")], {"a"}, id="two items"),
        pytest.param('{"a":["1"]}', [("a", "1")], {"a"}, id="one item"),
        pytest.param('{"a":[]}', [], {"a"}, id="no item"),
        pytest.param('{"a":[null,true]}', [("a", "true")], {"a"}, id="null among them"),
        pytest.param('{"a":[{"b":1}]}', [("a.b", "1")], {"a", "a.b"}, id="an object in it"),
        pytest.param('{"a":{"b":[[1],2]}}', [("a.b", "1"), ("a.b", "2")], {"a.b"}, id="arrays in arrays"),
    ],
)
def test_what_is_or_stands_in_an_array_is_told_as_listed(body, pairs, listed):
    assert read(body) == Lead(tuple(pairs), "json", frozenset(listed))


NOT_WELL_FORMED = {
    "nothing": "",
    "white space alone": " \n",
    "comma behind the last member": '{"a":1,}',
    "comma before the first": '{,"a":1}',
    "two commas": '{"a":1,,"b":2}',
    "no comma": '{"a":1 "b":2}',
    "no colon": '{"a" 1}',
    "two colons": '{"a"::1}',
    "no value": '{"a":}',
    "key alone": '{"a"}',
    "key without quotes": "{a:1}",
    "single quotes": "{'a':1}",
    "number as key": "{1:1}",
    "object not closed": '{"a":1',
    "string not closed": '{"a":"1',
    "array not closed": '{"a":[1}',
    "closed twice": '{"a":1}}',
    "text behind": '{"a":1}x',
    "two objects": "{}{}",
    "NUL behind": "{}\x00",
    "comment": '{"a":1}//',
    "comment inside": '{"a":/**/1}',
    "hash comment": "{} # x",
    "form feed as white space": "{}\x0c",
    "no-break space": "\xa0{}",
    "line separator": "{}\u2028",
    "NaN": '{"a":NaN}',
    "Infinity": '{"a":Infinity}',
    "minus Infinity": '{"a":-Infinity}',
    "nan in lower case": '{"a":nan}',
    "True": '{"a":True}',
    "tru": '{"a":tru}',
    "undefined": '{"a":undefined}',
    "plus sign": '{"a":+1}',
    "leading zero": '{"a":012}',
    "minus leading zero": '{"a":-012}',
    "no digit before the point": '{"a":.5}',
    "no digit behind the point": '{"a":5.}',
    "exponent without digits": '{"a":1e}',
    "exponent with a sign alone": '{"a":1e+}',
    "two minus signs": '{"a":--1}',
    "minus alone": '{"a":-}',
    "hexadecimal": '{"a":0x1}',
    "underscore": '{"a":1_000}',
    "Arabic digits": '{"a":١٢}',
    "full-width digit": '{"a":１}',
    "raw line feed in a string": '{"a":"\n"}',
    "raw TAB in a string": '{"a":"\t"}',
    "raw NUL in a string": '{"a":"\x00"}',
    "unknown escape": '{"a":"\\x41"}',
    "short unicode escape": '{"a":"\\u41"}',
    "unicode escape without hex": '{"a":"\\u00zz"}',
    "signed unicode escape": '{"a":"\\u+123"}',
    "backslash at the end": '{"a":"\\',
    "escaped closing quote": '{"a":"\\"}',
    "backslash outside": '{\\"a":1}',
    "brackets crossed": '{"a":[1}]',
    "closed before it is opened": "]{}",
    "byte order mark": "\ufeff{}",
    "many strings": '{"a":' + '""' * 5000 + "}",
    "many strings behind many commas": '{"' + "," * 2000 + '":' + '""' * 500 + "}",
    "closed first among many": "]" + "[" * 40,
}


@pytest.mark.parametrize("body", NOT_WELL_FORMED.values(), ids=NOT_WELL_FORMED)
def test_what_is_not_json_by_the_letter_is_malformed(body):
    assert read(body) == NOT_JSON


@pytest.mark.parametrize("body", ["[]", '[{"a":1}]', '"a"', "1", "true", "null", '  "a=1"'])
def test_a_root_that_is_no_object_is_malformed(body):
    assert read(body) == NOT_AN_OBJECT


@pytest.mark.parametrize(
    "body",
    ['{"a":1,"a":1}', '{"a":1,"b":2,"a":3}', '{"x":{"a":1,"a":null}}', '{"x":[{"a":1,"a":2}]}', '{"a":1,"\\u0061":2}'],
)
def test_a_key_that_stands_twice_in_an_object_is_malformed(body):
    assert read(body) == DUPLICATE_KEY


@pytest.mark.parametrize(
    ("body", "codec"),
    [
        pytest.param(b'{"a":"\xe9"}', None, id="latin-1"),
        pytest.param(b'{"a":"\xc0\x80"}', None, id="overlong"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', None, id="surrogate"),
        pytest.param('{"a":1}'.encode("utf-16"), None, id="UTF-16 with its mark"),
        pytest.param('{"a":1}'.encode("utf-32"), None, id="UTF-32"),
        pytest.param(b'{"a":"\x81"}', "cp1252", id="not assigned in windows-1252"),
    ],
)
def test_bytes_that_are_no_text_in_the_charset_are_malformed(body, codec):
    assert read(body, codec) == NOT_IN_CHARSET


def test_utf_16_without_a_mark_is_not_guessed():
    assert read('{"a":1}'.encode("utf-16-le")) == NOT_JSON


def test_a_charset_in_the_header_is_followed():
    assert read('{"a":"é"}'.encode("cp1252"), "cp1252") == Lead((("a", "é"),), "json")


@pytest.mark.parametrize("escape", ["\\u0000", "\\u0007", "\\u001b", "\\u007f", "\\u0085", "\\ud800\\u0007"])
@pytest.mark.parametrize("place", ['{"a":"x%sx"}', '{"x%sx":1}', '{"a":{"b":["%s"]}}'])
def test_control_characters_are_malformed_wherever_they_stand(place, escape):
    assert read(place % escape) == CONTROL_CHARACTER


@pytest.mark.parametrize("escape", ["\\ud800", "\\udc00\\ud800", "\\uffff", "\\ufdd0"])
@pytest.mark.parametrize("place", ['{"a":"x%sx"}', '{"x%sx":1}', '{"a":{"b":["%s"]}}'])
def test_lone_surrogates_and_non_characters_are_told_as_no_text_wherever_they_stand(place, escape):
    assert read(place % escape) == NOT_TEXT
    assert NOT_TEXT.text == "a field holds characters that are not text"


@pytest.mark.parametrize("character", ["\uffff", "\ufdd0", "\U0001fffe"])
def test_non_characters_are_malformed_raw(character):
    assert read(f'{{"a":"{character}"}}') == NOT_TEXT


def test_del_is_malformed_raw():
    assert read('{"a":"\x7f"}') == CONTROL_CHARACTER


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def test_depth_is_bounded_at_32_levels():
    assert read(nested(32)) == Lead(((".".join(["a"] * 32), "1"),), "json")
    assert read(nested(33)) == TOO_DEEP
    assert read('{"a":' + "[" * 31 + "]" * 31 + "}") == Lead((), "json", frozenset({"a"}))
    assert read('{"a":' + "[" * 32 + "]" * 32 + "}") == TOO_DEEP


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"":'])
def test_a_hundred_thousand_levels_are_refused_without_recursion(opening):
    assert read(opening * 100_000) == TOO_DEEP


def test_the_number_of_values_is_bounded_at_1000():
    # The root, the array, and its items.
    assert isinstance(read(f'{{"a":[{",".join(["1"] * 998)}]}}'), Lead)
    assert read(f'{{"a":[{",".join(["1"] * 999)}]}}') == TOO_MANY_NODES
    assert TOO_MANY_NODES.reason is Reason.TOO_LARGE


def test_many_brackets_side_by_side_are_not_depth():
    body = '{"a":[' + ",".join(["[]"] * 400) + "]}"
    assert isinstance(read(body), Lead)
    assert read('{"a":[' + ",".join(["[]"] * 600) + "]}") == TOO_MANY_NODES


def test_brackets_and_commas_in_strings_count_for_nothing():
    assert read(json.dumps({"a": '[{,\\"' * 5000})) == Lead((("a", '[{,\\"' * 5000),), "json")


def test_the_number_of_fields_is_bounded():
    assert isinstance(read('{"a":1,"b":{"c":2}}', max_fields=2), Lead)
    assert read('{"a":1,"b":{"c":2,"d":3}}', max_fields=2) == TOO_MANY_FIELDS


def test_a_dotted_name_cannot_grow_without_bound():
    assert isinstance(read(json.dumps({"a" * 500: {"b" * 499: 1}})), Lead)
    assert read(json.dumps({"a" * 500: {"b" * 500: 1}})) == NAME_TOO_LONG


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("[" * 33 + '"\\"' * 30_000, id="a string of escaped quotes"),
        pytest.param('["' + "," * 2000 + '"' + '\\"' * 30_000, id="quotes outside a string"),
        pytest.param('{"a":"' + "\\" * 60_001, id="backslashes"),
    ],
)
def test_hostile_text_is_scanned_in_linear_time(body):
    assert isinstance(read(body), Undecodable)


leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
)


def texts(tree):
    """Every name and every text value."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        yield from tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from texts(inner)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=3), trees, max_size=5))
@example({"a": [[], {}, [{}]]})
@example({"\b": False})
def test_any_object_is_read_or_refused_for_its_characters_alone(tree):
    found = read(json.dumps(tree))
    if found in (CONTROL_CHARACTER, NOT_TEXT):
        assert not all(map(str.isprintable, texts(tree)))
    else:
        assert isinstance(found, Lead)


@settings(max_examples=500, deadline=None)
@given(
    st.binary()
    | st.lists(st.sampled_from(['{"', "a", '":', '"', "{", "}", "[", "]", ",", "1", "-", "e", "\\", "u", "null"])).map(
        lambda parts: "".join(parts).encode()
    )
)
def test_reading_json_is_total(body):
    assert isinstance(read(body), (Lead, Undecodable))
