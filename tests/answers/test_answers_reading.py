"""Rules, sources, refinements, conditions and values: what a block reads (sections 1 to 4 of the language)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.answers import Answers, LegacyAnswer
from gateway.datapost.values import Reading
from tests.support.blocks import answer

Reader = Callable[..., Answers]

MEMBERS = ("uniqueid", "sale_amount", "customerid", "email", "note")


def summary(reading: Reading) -> str:
    """`accepted uniqueid=98`, or `none`."""
    if reading.verdict is None:
        return "none"
    members = [f"{name}={value}" for name in MEMBERS if (value := getattr(reading, name)) is not None]
    return " ".join([reading.verdict.value, *members])


# --- rules and verdicts ---------------------------------------------------------------------------

ORDER = """
rules:
  - {when: {json: a, equals: 1}, verdict: accepted, name: first}
  - {when: {json: a, exists: true}, verdict: rejected}
verdict: {json: b, map: {x: error}}
"""


@pytest.mark.parametrize(
    ("body", "rule"),
    [('{"a": 1, "b": "x"}', "first"), ('{"a": 2, "b": "x"}', "rule-2"), ('{"b": "x"}', "verdict"), ('{"b": "y"}', "")],
)
def test_the_first_rule_that_concludes_decides(reader: Reader, body: str, rule: str) -> None:
    answers = reader(ORDER)
    assert answers.rules == ("first", "rule-2", "verdict")
    assert answers.read(answer(body)).rule == rule


def test_a_rule_whose_verdict_does_not_come_out_leaves_the_answer_to_the_next(reader: Reader) -> None:
    answers = reader("""
        - {when: {json: a}, verdict: {json: b, map: {x: accepted}}}
        - {when: {json: a}, verdict: rejected, release: true}
    """)
    assert answers.read(answer('{"a": 1, "b": "x"}')).release is False
    reading = answers.read(answer('{"a": 1, "b": "other"}'))
    assert (reading.rule, reading.release) == ("rule-2", True)


@pytest.mark.parametrize(
    ("verdict", "body", "expected"),
    [
        ("{json: s, map: {Y: accepted, N: rejected}}", '{"s": " y "}', "accepted"),
        ("{json: s, map: {Y: accepted, N: rejected}}", '{"s": "maybe"}', "none"),
        ("{json: s, map: {Y: accepted, N: rejected}}", '{"s": null}', "none"),
        ("{json: s, map: {true: accepted, 0: rejected}}", '{"s": true}', "accepted"),
        ("{json: s, map: {true: accepted, 0: rejected}}", '{"s": 0}', "rejected"),
        ("{json: s, map: {1: accepted, 01: rejected}}", '{"s": 1.0}', "none"),
        ("{json: s, map: {-1: accepted, 01: rejected}}", '{"s": "01"}', "rejected"),
        ("{json: s, map: {NO: rejected}}", '{"s": "no"}', "rejected"),
        ("{json: s, map: {two words: rejected}}", '{"s": "Two \\n  WORDS"}', "rejected"),
        ("{json: s, map: {Y: accepted}, else: rejected}", '{"s": "other"}', "rejected"),
        ("{json: s, map: {Y: accepted}, else: rejected}", '{"t": "other"}', "none"),
        ("{json: 's[*]', map: {Y: accepted, J: accepted}}", '{"s": ["Y", "j", null, {}]}', "accepted"),
        ("{json: 's[*]', map: {Y: accepted, N: rejected}}", '{"s": ["Y", "N"]}', "none"),
        ("{json: 's[*]', map: {Y: accepted, N: rejected}}", '{"s": ["Y", "?"]}', "none"),
        ("{json: s, map: {404: {error: delivery not found}}}", '{"s": 404}', "error note=delivery not found"),
        ("{json: 's[*]', map: {1: {error: a}, 2: {error: b}}}", '{"s": [1, 2, 1]}', "error note=a; b"),
        ("[{json: s, map: {Y: accepted}}, {json: t, map: {N: rejected}}]", '{"s": "?", "t": "N"}', "rejected"),
        ("{first: [{json: s}, {json: t}], map: {N: rejected, Y: accepted}}", '{"s": "", "t": "N"}', "rejected"),
        ("{first: [{json: s}, {json: t}], map: {N: rejected, Y: accepted}}", '{"s": "?", "t": "N"}', "none"),
        ("{first: [{json: s}, {json: t}], map: {N: rejected}}", '{"t": "N"}', "rejected"),
        ("{first: [{json: s}, {json: t}], map: {N: rejected}}", "{}", "none"),
    ],
)
def test_a_verdict_is_looked_up_and_never_guessed(reader: Reader, verdict: str, body: str, expected: str) -> None:
    assert summary(reader(f"verdict: {verdict}").read(answer(body))) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, "accepted"), (201, "rejected"), (204, "accepted"), (404, "error"), (418, "rejected"), (302, "none")],
)
def test_a_map_of_status_codes_knows_classes_and_an_exact_code_wins(reader: Reader, status: int, expected: str) -> None:
    answers = reader("""
        when: {kind: empty}
        verdict: {from: status, map: {2xx: accepted, 201: rejected, 4xx: rejected, 404: error}}
    """)
    assert summary(answers.read(answer("", status))) == expected


def test_shared_values_serve_every_rule_that_has_none_of_its_own(reader: Reader) -> None:
    answers = reader("""
        rules:
          - {when: {json: a}, verdict: accepted, note: {json: own}}
          - {when: {text: '"b": "(?P<uniqueid>[^"]*)"'}, verdict: rejected}
        verdict: {json: c, map: {1: {rejected: from the table}, 2: rejected}}
        uniqueid: {json: id}
        note: {json: shared}
    """)
    assert summary(answers.read(answer('{"a": 1, "id": 7, "shared": "s"}'))) == "accepted uniqueid=7"
    assert summary(answers.read(answer('{"b": "9", "id": 7, "shared": "s"}'))) == "rejected uniqueid=9 note=s"
    assert summary(answers.read(answer('{"b": "", "id": 7}'))) == "rejected"  # replaced, even by nothing
    assert summary(answers.read(answer('{"c": 1, "shared": "s"}'))) == "rejected note=from the table"
    assert summary(answers.read(answer('{"c": 2, "shared": "s"}'))) == "rejected note=s"


# --- sources and refinements ----------------------------------------------------------------------

NESTED = '{"a": {"b": [{"c": 1}, {"c": 2}]}, "x": "one", "FL": [{"val": "Id", "content": "9"}], "n": null}'
XML = '<R code="7"><a>1</a><b><a>2</a></b><m><k>x</k><v>5</v></m><c><![CDATA[ a&b ]]></c><d>&eacute;&amp;</d><e/></R>'
PAGE = (
    '<!doctype html><html><body><p id="m" class="x y">Hi <b>Jane</b></p><input name="i" value="5"><ul><li>1<li>2</ul>'
)
LOCATION = "/x?id=A%41+b&id=2&e=#id=3"


@pytest.mark.parametrize(
    ("source", "given", "expected"),
    [
        ("{json: 'a.b[1].c'}", answer(NESTED), "2"),
        ("{json: '$.a.b[-2].c'}", answer(NESTED), "1"),
        ("{json: 'a.b[9].c'}", answer(NESTED), None),
        ("{json: 'a[0]'}", answer(NESTED), None),
        ("{json: 'a.b.c'}", answer(NESTED), None),
        ("{json: 'a[\"b\"][0][''c'']'}", answer(NESTED), "1"),
        ("{json: 'x[*]'}", answer(NESTED), None),
        ("{json: 'a.b[*].c', matches: '[2-9]'}", answer(NESTED), "2"),
        ("{json: 'a.*[1].c'}", answer(NESTED), "2"),
        ("{json: \"FL[?@.val=='Id'].content\"}", answer(NESTED), "9"),
        ("{json: 'a.b[?@.c>1].c'}", answer(NESTED), "2"),
        ("{json: 'a.b[?@.c==1].c'}", answer(NESTED), "1"),
        ("{json: '..c'}", answer(NESTED), "1"),
        ("{json: '[?@.a==@.b].c'}", answer('[{"a": [1], "b": [2], "c": 5}, {"a": [1], "b": [1.0], "c": 6}]'), "6"),
        ("{json: '[?@.a==@.b].c'}", answer('[{"a": [1], "b": ["1"], "c": 5}]'), None),
        (
            "{json: '[?@.a>1].c'}",
            answer('[{"a": -1e99999999999999999999, "c": 5}, {"a": 1e99999999999999999999, "c": 6}]'),
            "6",
        ),
        ("{json: '[?@.a==0.5].c'}", answer('[{"a": 0.50, "c": 6}]'), "6"),
        ("{json: '..c'}", answer('"text"'), None),
        ("{json: $}", answer('"text"'), "text"),
        ("{json: $}", answer("10"), "10"),
        ("{json: '[0]'}", answer("[3]"), "3"),
        ("{json: a}", answer('cb({"a": 1});'), "1"),
        ("{json: n}", answer(NESTED), None),
        ("{json: a}", answer(NESTED), None),
        ("{xpath: a}", answer(XML), "1"),
        ("{xpath: //a, matches: '2'}", answer(XML), "2"),
        ("{xpath: /R/b/a}", answer(XML), "2"),
        ("{xpath: /b/a}", answer(XML), None),
        ("{xpath: '@code'}", answer(XML), "7"),
        ("{xpath: \"m[k='x']/v\"}", answer(XML), "5"),
        ("{xpath: c}", answer(XML), "a&b"),
        ("{xpath: d}", answer(XML), "é&"),
        ("{xpath: e}", answer(XML), None),
        ("{xpath: count(//a)}", answer(XML), "2"),
        ("{xpath: '1 div 2'}", answer(XML), "0.5"),
        ("{xpath: \"//a[. = '1' and (. > 0) or not(.)]\"}", answer(XML), "1"),
        ("{xpath: boolean(a)}", answer(XML), "true"),
        ("{xpath: string(b)}", answer(XML), "2"),
        ("{xpath: body/p}", answer(PAGE), "Hi Jane"),
        ("{xpath: a}", answer("plain"), None),
        ("{css: '#m'}", answer(PAGE), "Hi Jane"),
        ("{css: 'p.y > b'}", answer(PAGE), "Jane"),
        ("{css: 'input[name=i]', attr: VALUE}", answer(PAGE), "5"),
        ("{css: input, attr: none}", answer(PAGE), None),
        ("{css: 'li:nth-child(2)'}", answer(PAGE), "2"),
        ("{css: 'li:first-child'}", answer(PAGE), "1"),
        ("{css: 'p + input ~ ul li:not(:first-child)'}", answer(PAGE), "2"),
        ("{css: b}", answer("no tag"), None),
        ("{text: '(\\d+)\\|'}", answer("OK|98|7|"), "98"),
        ("{text: '\\d+'}", answer("OK|98|7|"), "98"),
        ("{text: '(?P<a>\\d)(\\d)'}", answer("98"), "8"),
        ("{text: '(?P<a>\\d)(?P<b>\\d)'}", answer("98"), "98"),
        ("{text: '(?P<a>\\d)\\d'}", answer("98"), "9"),
        ("{text: 'a.c'}", answer("a\nc abc"), "abc"),
        ("{text: '^b'}", answer("a\nb"), None),
        ("{text: '(?m)^b'}", answer("a\nb"), "b"),
        ("{text: 'é.'}", answer("xéy"), "éy"),
        ("{form: lead_id}", answer("a=1&lead_id=4%2b+5&lead_id=6"), "4+ 5"),
        ("{form: a}", answer("a=&a=2"), "2"),
        ("{form: a}", answer("a b=2"), None),
        ("{header: LOCATION}", answer("", 302, {"Location": " /x "}), "/x"),
        ("{header: x-a}", answer("", 200, {"X-A": "1\udcff"}), "1\ufffd"),
        ("{from: status}", answer("", 201), "201"),
        ("{from: body}", answer("  whole \r\n text "), "whole \n text"),
        ("{first: [{json: n}, {json: x}]}", answer(NESTED), "one"),
        ("[{json: n}, fallback]", answer(NESTED), "fallback"),
        ("{join: [{json: n}, {json: x}]}", answer(NESTED), "one"),
        ("fixed", answer(""), "fixed"),
        ("{header: location, query: id}", answer("", 302, {"location": LOCATION}), "AA b"),
        ("{header: location, query: e}", answer("", 302, {"location": LOCATION}), None),
        ("{header: location, query: none}", answer("", 302, {"location": LOCATION}), None),
        ("{header: location, query: id}", answer("", 302, {"location": "/plain"}), None),
        ("{json: u, query: q}", answer('{"u": "http://h/p?q=raw blank"}'), "raw blank"),
        ("{json: x, matches: '^(.)'}", answer(NESTED), "o"),
        ("{json: x, matches: 'z'}", answer(NESTED), None),
        ("{json: x, matches: 'o(z)?'}", answer(NESTED), None),
        ("{json: a, matches: '.'}", answer(NESTED), None),
        ("{text: '(?s)(.*)', decode: js}", answer(r"\x7b\u0041\u{1F600}\n\/\q\ud83d" + "\\\nz"), "{A😀\n/q\ufffdz"),
        ("{text: '(.*)', decode: js}", answer(r"\u{110000}x"), "\ufffdx"),
        ("{text: '(.*)', decode: js}", answer("plain"), "plain"),
        ("{text: '(.*)', decode: url}", answer("a%20b+c"), "a b c"),
        ("{text: '(.*)', decode: html}", answer("a&amp;b&#233;"), "a&bé"),
        ("{json: x, map: {ONE: first, two: second}}", answer(NESTED), "first"),
        ("{json: x, map: {two: second}}", answer(NESTED), None),
        ("{json: 'FL[*]', as: '{val}={content}{none}'}", answer(NESTED), "Id=9"),
        ("{json: 'FL[*]', as: '{none}: {nothing}'}", answer(NESTED), None),
        ("{json: x, as: '<{}>'}", answer(NESTED), "<one>"),
        ("{json: x, matches: '^.', as: '({})'}", answer(NESTED), "(o)"),
        ("{xpath: ., as: '{a} {@code} {a/b} {[} {@x}'}", answer(XML), "1 7"),
        ("{join: [{json: x}, {json: 'FL[0].val'}], matches: '^I(.)'}", answer(NESTED), "d"),
    ],
)
def test_a_source_selects_the_first_value(
    reader: Reader, source: str, given: LegacyAnswer, expected: str | None
) -> None:
    answers = reader(f"rules: [{{when: {{status: [200, 201, 302]}}, verdict: rejected}}]\nuniqueid: {source}")
    assert answers.read(given).uniqueid == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"v": 1, "id": "7"}', "accepted uniqueid=7"),
        ('{"v": 2, "id": "-100"}', "rejected note=bad"),
        ('{"v": 3}', "error"),
    ],
)
def test_for_and_unless_bind_a_source_to_verdicts(reader: Reader, body: str, expected: str) -> None:
    answers = reader("""
        verdict: {json: v, map: {1: accepted, 2: rejected, 3: error}}
        uniqueid: {json: id, for: accepted}
        note: {join: ["bad"], unless: [accepted, error]}
    """)
    assert summary(answers.read(answer(body))) == expected


def test_for_and_unless_together_both_count(reader: Reader) -> None:
    answers = reader("""
        verdict: {json: v, map: {1: accepted, 2: rejected}}
        note: {json: n, for: [accepted, rejected], unless: accepted}
    """)
    assert answers.read(answer('{"v": 1, "n": "x"}')).note is None
    assert answers.read(answer('{"v": 2, "n": "x"}')).note == "x"


# --- conditions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "given", "holds"),
    [
        ("{status: 200}", answer(), True),
        ("{status: [201, 4xx]}", answer("", 404), True),
        ("{status: [201, 4xx]}", answer("", 500), False),
        ("{kind: json}", answer("{}"), True),
        ("{kind: [xml, html]}", answer("{}"), False),
        ("{kind: empty}", answer(" \n"), True),
        ("{json: a, equals: failure}", answer('{"a": " Failure "}'), True),
        ("{json: a, equals: [fail, failed]}", answer('{"a": "failed"}'), True),
        ("{json: a, equals: 1}", answer('{"a": 1.0}'), False),
        ("{json: a, equals: true}", answer('{"a": true}'), True),
        ("{json: 'a[*]', equals: 2}", answer('{"a": [1, 2]}'), True),
        ("{not: {json: 'a[*]', equals: 2}}", answer('{"a": [1, 2]}'), False),
        ("{json: a, word: qualified}", answer('{"a": "disqualified"}'), False),
        ("{json: a, word: qualified}", answer('{"a": "is Qualified!"}'), True),
        ("{json: a, word: qualified}", answer('{"a": "disqualified, then qualified"}'), True),
        ("{json: a, word: already registered}", answer('{"a": "Already\\n registered."}'), True),
        ("{json: a, word: [x, yes]}", answer('{"a": "yes_no yes"}'), True),
        ("{json: a, word: '!'}", answer('{"a": "hi!there"}'), True),
        ("{json: a, word: x}", answer('{"b": "x"}'), False),
        ("{json: a, matches: '^0$'}", answer('{"a": 0}'), True),
        ("{json: a, matches: '^1$'}", answer('{"a": 0}'), False),
        ("{text: 'x*y'}", answer("y"), True),
        ("{text: 'z'}", answer("y"), False),
        ("{text: 'a=(\\w+)', equals: ok}", answer("a=no a=OK"), True),
        ("{text: '(?m)^(?P<uniqueid>\\w+)=(\\w+)$', equals: ok}", answer("a=no\nb=OK"), True),
        ("{json: a, exists: true}", answer('{"a": null}'), True),
        ("{json: a, exists: true}", answer("{}"), False),
        ("{json: a, exists: false}", answer("{}"), True),
        ("{first: [{json: a}, {json: b}], exists: true}", answer('{"a": ""}'), True),
        ("{json: a, empty: true}", answer('{"a": " "}'), True),
        ("{json: a, empty: true}", answer('{"a": []}'), True),
        ("{json: a, empty: true}", answer('{"a": 0}'), False),
        ("{json: a, empty: true}", answer("{}"), False),
        ("{json: a, empty: false}", answer("{}"), False),
        ("{json: a, empty: false}", answer('{"a": "x"}'), True),
        ("{json: 'a[*]', empty: false}", answer('{"a": ["", "x"]}'), True),
        ("{json: 'a[*]', empty: true}", answer('{"a": ["", null, {}]}'), True),
        ("{xpath: a, empty: true}", answer("<r><a> </a></r>"), True),
        ("{json: a}", answer('{"a": "x"}'), True),
        ("{json: a}", answer('{"a": [0]}'), True),
        ("{json: a}", answer('{"a": -0.0e5}'), False),
        ("{json: a}", answer('{"a": 0.01}'), True),
        ("{json: a}", answer('{"a": false}'), False),
        ("{json: a}", answer('{"a": "False"}'), False),
        ("{json: a}", answer('{"a": "0"}'), False),
        ("{json: a}", answer('{"a": "0.0"}'), True),
        ("{json: a}", answer('{"a": {}}'), False),
        ("{json: a}", answer('{"a": null}'), False),
        ("{json: a}", answer("not json"), False),
        ("{xpath: a}", answer("<r><a>0</a></r>"), False),
        ("{xpath: a}", answer("<r><a>5</a></r>"), True),
        ("{header: location, query: success, exists: true}", answer("", 302, {"location": "/?success"}), True),
        ("{any: [{json: a, equals: 1}, {status: 404}]}", answer("", 404), True),
        ("{any: [{json: a, equals: 1}, {status: 404}]}", answer('{"a": 2}'), False),
        ("{not: [{status: 200}, {kind: json}]}", answer("text"), True),
        ("{not: [{status: 200}, {kind: json}]}", answer("{}"), False),
        ("[{json: a, equals: 1}, {json: b, equals: 2}]", answer('{"a": 1, "b": 2}'), True),
        ("[{json: a, equals: 1}, {json: b, equals: 2}]", answer('{"a": 1, "b": 3}'), False),
        ("{status: 200, kind: json, json: a, word: x, exists: true}", answer('{"a": "x"}'), True),
        ("{status: 200, kind: json, json: a, word: x, equals: x y}", answer('{"a": "x"}'), False),
        ("{json: a, map: {x: 1, y: 0}}", answer('{"a": "x"}'), True),
        ("{json: a, map: {x: 1, y: 0}}", answer('{"a": "y"}'), False),
        ("{from: body, equals: 0}", answer("0"), True),
        ("{css: h1, attr: id}", answer("<h1 id=x>"), True),
    ],
)
def test_a_condition_holds_or_not(reader: Reader, when: str, given: LegacyAnswer, holds: bool) -> None:
    reading = reader(f"- {{when: {when}, verdict: rejected}}").read(given)
    assert (reading.verdict is not None) == holds


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("OK|98|7.50", "accepted uniqueid=98 sale_amount=7.50"),
        ("OK||7.50", "accepted sale_amount=7.50"),
        ("OK|98", "accepted uniqueid=98"),
    ],
)
def test_named_groups_give_members_and_an_empty_one_gives_none(reader: Reader, body: str, expected: str) -> None:
    answers = reader(r"""
        - {when: {text: '^OK\|(?P<uniqueid>\d*)(?:\|(?P<sale_amount>.+))?$'}, verdict: accepted}
    """)
    assert summary(answers.read(answer(body))) == expected


def test_groups_of_a_rule_that_failed_do_not_leak_into_the_next(reader: Reader) -> None:
    answers = reader(r"""
        - {when: [{text: 'a(?P<uniqueid>\d)'}, {text: z}], verdict: rejected}
        - {when: {any: [{text: 'b(?P<uniqueid>\d)'}, {text: a}]}, verdict: rejected}
    """)
    assert summary(answers.read(answer("a1"))) == "rejected"
    assert summary(answers.read(answer("a1 b2"))) == "rejected uniqueid=2"


def test_the_first_group_of_a_name_that_matched_something_gives_the_member(reader: Reader) -> None:
    answers = reader(r"""
        when: [{header: location, matches: 'id=(?P<uniqueid>\d*)'}, {text: 'id=(?P<uniqueid>\d+)(?P<note>.*)'}]
        verdict: rejected
    """)
    given = answer("id=2 <b>Too</b> &amp; old", 302, {"location": "/?id=1"})
    assert summary(answers.read(given)) == "rejected uniqueid=1 note=Too & old"
    given = answer("id=2", 302, {"location": "/?id="})
    assert summary(answers.read(given)) == "rejected uniqueid=2"


# --- values and notes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("25.00", "25.00"),
        ("2434346000000149011", "2434346000000149011"),
        ("1e400", "1e400"),
        ("-0", "-0"),
        ("true", "true"),
        ("false", "false"),
        ('"  x y "', "x y"),
        ('"\\u00e9\\ud83d\\ude00"', "é😀"),
        ('"a\\ud83d b \\\\ud83d"', "a\ufffd b \\ud83d"),
        ('""', None),
        ("null", None),
        ("[1]", None),
        ('{"a": 1}', None),
        (f'"{"x" * 4096}"', "x" * 4096),
        (f'"{"x" * 4097}"', None),
    ],
)
def test_json_values_are_text_as_sent(reader: Reader, raw: str, value: str | None) -> None:
    answers = reader("when: {status: 200}\nverdict: rejected\nuniqueid: {json: a}")
    assert answers.read(answer(f'{{"a": {raw}}}')).uniqueid == value


@pytest.mark.parametrize(
    ("source", "body", "note"),
    [
        (
            "{json: e}",
            '{"e": {"email": {"0": "bad"}, "phone": ["a", "b"], "x": null}}',
            "email: bad; phone: a; phone: b",
        ),
        ("{json: e}", '{"e": [{"email": "x"}, "y", 5, true, null, ["z"]]}', "email: x; y; 5; true; z"),
        ("{json: 'e[*]'}", '{"e": ["a", "b", "a"]}', "a; b"),
        ("{json: 'e[*]', as: '{f}: {m}'}", '{"e": [{"f": "email", "m": "<b>bad</b>"}]}', "email: bad"),
        ("{json: 'e[*]', as: '- {}'}", '{"e": [{"f": "a"}]}', "- f: a"),
        ("{join: [{json: e}, {json: f}]}", '{"e": "a", "f": {"k": "b"}}', "a; k: b"),
        ("{json: e}", '{"e": "<ol><li>One</li><li>Two &amp; <i>three</i></li></ol>"}', "One; Two & three"),
        ("{json: e}", '{"e": "a<br/>b<script>x</script> c<!-- d -->"}', "a b c"),
        ("{json: e}", '{"e": "&lt;p&gt;Thanks&lt;/p&gt;"}', "Thanks"),
        ("{json: e}", '{"e": "x < 5 and y > 3"}', "x < 5 and y > 3"),
        ("{json: e}", '{"e": " many \\n\\n blanks "}', "many blanks"),
        ("{css: ul}", "<ul><li>a</li><li><b>b</b></li></ul>", "a; b"),
        ("{css: body}", "<body><p>a</p><p>b</p><style>p{}</style><script>x</script>c</body>", "a b c"),
        ("{css: script}", "<script>var a</script>", "var a"),
        ("{from: body}", "y" * 5000, "y" * 4096),
        ("{json: e}", f'{{"e": "{"y" * 5000}"}}', "y" * 4096),
        ("{json: e}", '{"e": ""}', None),
        ("Please call us", "{}", "Please call us"),
        ('""', '{"e": "x"}', None),
        ("[{json: e}, {json: f}]", '{"e": {}, "f": "b"}', "b"),
    ],
)
def test_a_note_is_what_people_read(reader: Reader, source: str, body: str, note: str | None) -> None:
    answers = reader(f"when: {{status: 200}}\nverdict: rejected\nnote: {source}")
    assert answers.read(answer(body)).note == note


@pytest.mark.parametrize(
    "element",
    ['<a xsi:nil="true">x<b>y</b></a>', '<a xsi:nil="1"/>', "<a/>", "<a> </a>", "<a><script>x</script></a>"],
)
def test_an_element_that_is_nil_or_empty_has_no_value(reader: Reader, element: str) -> None:
    answers = reader("""
        when: {xpath: a, exists: true}
        verdict: rejected
        uniqueid: [{xpath: a}, {xpath: b}]
    """)
    body = f'<r xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{element}<b>2</b></r>'
    assert summary(answers.read(answer(body))) == "rejected uniqueid=2"


def test_namespaces_do_not_matter_unless_they_are_given(reader: Reader) -> None:
    body = '<a:r xmlns:a="urn:a" xmlns:b="urn:b"><a:id b:code="1" code="2">7</a:id><b:id>8</b:id></a:r>'
    ignoring = reader("when: {xpath: id}\nverdict: rejected\nuniqueid: {xpath: 'id[2]'}\nnote: {xpath: id/@code}")
    assert summary(ignoring.read(answer(body))) == "rejected uniqueid=8 note=2"
    naming = reader("""
        namespaces: {x: urn:b}
        when: {xpath: x:id}
        verdict: rejected
        uniqueid: {xpath: x:id}
        note: {xpath: id}
    """)
    assert summary(naming.read(answer(body))) == "rejected uniqueid=8"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"d": "{\\"i\\": \\" <r><id>5</id></r>\\"}"}', "rejected uniqueid=5"),  # JSON in JSON, XML in it
        ('{"i": "<r><id>5</id></r>"}', "rejected uniqueid=5"),  # the first step finds nothing
        ("<r><id>5</id></r>", "rejected uniqueid=5"),
    ],
)
def test_unwrap_steps_are_taken_in_turn_and_skipped_where_there_is_nothing(
    reader: Reader, body: str, expected: str
) -> None:
    answers = reader("""
        unwrap: [{json: d}, {json: i}]
        when: {kind: xml, status: 200}
        verdict: rejected
        uniqueid: {xpath: id}
    """)
    assert summary(answers.read(answer(body))) == expected


def test_an_unwrapped_document_may_be_longer_than_a_value(reader: Reader) -> None:
    answers = reader("unwrap: {json: d}\nwhen: {xpath: id}\nverdict: rejected\nuniqueid: {xpath: id}")
    inner = f"<r><id>5</id><x>{'y' * 10_000}</x></r>"
    assert answers.read(answer(f'{{"d": "{inner}"}}')).uniqueid == "5"
