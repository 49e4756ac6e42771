"""What is never concluded, whatever the block says (section 5 of the language), and how `explain` tells of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.answers import Answers, LegacyAnswer
from tests.support.blocks import answer

Reader = Callable[..., Answers]

OK = '{"s": "ok"}'
ODD = '{"s": "odd"}'


@pytest.mark.parametrize(
    ("block", "given", "verdict"),
    [
        ("- {when: {json: s, equals: ok}, verdict: accepted}", answer(OK, 404), None),
        ("- {when: {json: s, equals: ok}, verdict: accepted}", answer(OK, 399), "accepted"),
        ("- {when: {json: s, equals: ok}, verdict: error}", answer(OK, 500), "error"),
        ("- {when: {status: 4xx, json: s, equals: ok}, verdict: accepted}", answer(OK, 404), "accepted"),
        ("- {when: {any: [{status: 404}, {json: s}]}, verdict: accepted}", answer(OK, 404), "accepted"),
        ("- {when: {any: [{status: 200}, {json: s}]}, verdict: accepted}", answer(OK, 404), None),
        ("- {when: {not: {status: 500}, json: s}, verdict: accepted}", answer(OK, 404), None),
        ("- {when: [{from: status, equals: 404}, {json: s}], verdict: accepted}", answer(OK, 404), "accepted"),
        ("verdict: {json: s, map: {ok: accepted}}", answer(OK, 500), None),
        ("verdict: {json: s, map: {ok: rejected}}", answer(OK, 500), "rejected"),
        ("verdict: {json: s, map: {ok: accepted}, else: rejected}", answer(ODD, 500), None),
        ("verdict: {json: s, map: {ok: accepted}, else: rejected}", answer(ODD, 200), "rejected"),
        (
            "when: {status: [200, 422]}\nverdict: {json: s, map: {ok: accepted}, else: rejected}",
            answer(ODD, 422),
            "rejected",
        ),
        ("verdict: {from: status, map: {404: accepted, 200: accepted}}", answer("", 404), "accepted"),
        ("verdict: {from: status, map: {200: accepted}, else: error}", answer("", 503), "error"),
        ("verdict: [{json: s, map: {ok: accepted}}, {from: status, map: {404: error}}]", answer(OK, 500), None),
        ("verdict: {first: [{json: s}, {from: status}], map: {ok: accepted, 500: error}}", answer(OK, 500), "accepted"),
    ],
)
def test_a_4xx_or_5xx_is_neither_accepted_nor_the_rest_unless_the_rule_names_it(
    reader: Reader, block: str, given: LegacyAnswer, verdict: str | None
) -> None:
    reading = reader(block).read(given)
    assert (reading.verdict.value if reading.verdict else None) == verdict


TROUBLE = [
    "Fatal error: Uncaught Exception in x.php on line 3",
    "<b>Fatal error</b>:  Uncaught x in <b>y.php</b> on line <b>12</b><br />",
    "PHP Parse error:  syntax error, unexpected end of file in y.php on line 9",
    "Traceback (most recent call last):",
    'Exception in thread "main" java.lang.NullPointerException',
    "at com.example.Lead.post(Lead.java:12)",
    "at Lead.Post() in c:\\x\\Lead.cs:line 12",
    "Server Error in '/' Application.",
    "SQLSTATE[42000]: Syntax error",
    "ORA-01017: invalid username/password",
    "include(/var/www/html/x.php): failed to open stream",
    "C:\\inetpub\\wwwroot\\lead.asp, line 12",
]
HARMLESS = [
    "Fatal errors were found on line 3 of your form?",
    "The error is on line 3",
    "ORA-1",
    "Visit /var or /www",
    "in thread",
]


@pytest.mark.parametrize("text", TROUBLE)
def test_server_trouble_is_never_the_rest_and_never_a_note(reader: Reader, text: str) -> None:
    rest = reader("when: {kind: [text, html]}\nverdict: {from: body, map: {ok: accepted}, else: rejected}")
    assert rest.read(answer(text)).verdict is None
    noted = reader("rules: [{when: {status: 500}, verdict: error}]\nnote: [{from: body}, {header: x-m}]")
    assert noted.read(answer(text, 500)).note is None
    assert noted.read(answer(text, 500, X_M="Try later")).note == "Try later"
    grouped = reader("- {when: {status: 500, text: '(?s)^(?P<note>.*)$'}, verdict: error}")
    assert grouped.read(answer(text + "x", 500)).note is None


@pytest.mark.parametrize("text", HARMLESS)
def test_an_ordinary_sentence_is_no_server_trouble(reader: Reader, text: str) -> None:
    rest = reader("when: {kind: text}\nverdict: {from: body, map: {ok: accepted}, else: rejected}\nnote: {from: body}")
    assert rest.read(answer(text)).note == text


def test_a_harmless_value_on_a_page_of_trouble_is_not_the_rest(reader: Reader) -> None:
    answers = reader("verdict: {json: s, map: {ok: accepted}, else: rejected}")
    assert answers.read(answer('{"s": "failed", "trace": "at x(Lead.java:7)"}')).verdict is None
    assert answers.read(answer('{"s": "ok", "trace": "at x(Lead.java:7)"}')).verdict is not None


@pytest.mark.parametrize(
    "body",
    [
        "<r><status>Accepted</status><x><status>Rejected</status></x></r>",
        "<r><status>Accepted</status><status>Unheard of</status></r>",
    ],
)
def test_conflicting_values_conclude_nothing(reader: Reader, body: str) -> None:
    answers = reader("verdict: {xpath: //status, map: {Accepted: accepted, Rejected: rejected}}")
    assert answers.read(answer(body)).verdict is None


def test_json_with_a_key_twice_is_no_json(reader: Reader) -> None:
    answers = reader("verdict: {json: s, map: {ok: accepted, no: rejected}}")
    assert answers.read(answer('{"s": "no", "s": "ok"}')).verdict is None
    assert answers.read(answer('{"a": {"s": 1, "s": 1}, "s": "ok"}')).verdict is None


# --- explain --------------------------------------------------------------------------------------

EXPLAINED = r"""
unwrap: [{json: inner}, {json: more}]
rules:
  - {when: {status: 200, json: a, equals: 1, exists: true}, verdict: error, name: by-a}
  - {when: [{kind: json}, {any: [{json: b}, {json: c}]}], verdict: error}
  - {when: {not: {json: d}}, verdict: error, name: by-d}
  - {verdict: {json: none, map: {x: error}}, name: nothing}
  - {verdict: {json: s, map: {x: error}}, name: unmapped}
  - {verdict: {json: '[''s'', ''d'']', map: {odd: error, 1: rejected}}, name: conflict}
  - {when: {json: d}, verdict: accepted, name: net}
  - {verdict: {json: s, map: {x: error}, else: rejected}, name: rest}
when: {status: 5xx, json: d, matches: '(?P<email>.*)'}
verdict: {json: s, map: {odd: {rejected: Odd}}}
uniqueid: [{json: none}, [{json: none}, {json: d, matches: '\d'}]]
customerid: {json: d}
"""


def test_an_explanation_names_the_key_or_the_net_that_held_each_earlier_rule_back(reader: Reader) -> None:
    given = answer('{"inner": "{\\"s\\": \\"odd\\", \\"d\\": 1}"}', 500)
    explanation = reader(EXPLAINED).explain(given)
    assert [(one.source, one.found) for one in explanation.unwraps] == [("json: inner", True), ("json: more", False)]
    assert [(one.rule, one.where.removeprefix("answers."), one.why) for one in explanation.missed] == [
        ("by-a", "rules[0].when.status", "does not hold"),
        ("rule-2", "rules[1].when[1].any", "does not hold"),
        ("by-d", "rules[2].when.not", "does not hold"),
        ("nothing", "rules[3].verdict", "no value is there"),
        ("unmapped", "rules[4].verdict", "a value is not in the map"),
        ("conflict", "rules[5].verdict", "the values contradict each other"),
        ("net", "rules[6].verdict", "held back: a 4xx or 5xx answer, and the rule does not name the status"),
        ("rest", "rules[7].verdict", "held back: a 4xx or 5xx answer, and the rule does not name the status"),
    ]
    assert (explanation.rule, explanation.kind) == ("verdict", "json")
    assert [(one.member, one.value, one.where.removeprefix("answers."), one.source) for one in explanation.members] == [
        ("uniqueid", "1", "uniqueid[1][1]", "json: d, matches: \\d"),
        ("customerid", "1", "customerid", "json: d"),
        ("email", "1", "verdict", "the group email in when"),
        ("note", "Odd", "verdict", "the map of the verdict"),
    ]


def test_an_explanation_tells_of_trouble_of_limits_and_of_alternatives_without_a_verdict(reader: Reader) -> None:
    answers = reader("""
        when: {kind: text}
        verdict: [{json: s, map: {x: error}}, {from: body, map: {ok: accepted}, else: rejected}]
    """)
    (missed,) = answers.explain(answer("Exception in thread main")).missed
    assert missed.why == "held back: the answer shows server trouble"
    limited = reader("- {when: {json: '[*]'}, verdict: error}\n- {when: {status: 200}, verdict: error}")
    explanation = limited.explain(answer("[" + ",".join(["1"] * 101) + "]"))
    assert explanation.reading.limited
    assert [one.why for one in explanation.missed] == ["a limit was hit"]
