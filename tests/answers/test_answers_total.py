"""Reading is total: any bytes, under any block, give a reading, soon, and nothing of them in an exception."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.answers import Answers, LegacyAnswer
from gateway.answers.document import KINDS
from gateway.answers.limits import LimitHit
from gateway.answers.markup import _ATTRIBUTES, _TOKEN, _canonical, parse_html
from tests.support.blocks import BLOCKS, CASES, case_of, compile_file

EVERYTHING = r"""
answers:
  unwrap: [{json: d, decode: js}, {css: script, matches: '"(.*)"', decode: html}, {form: d, decode: url}]
  rules:
    - {when: {any: [{header: location, query: id, exists: true}, {kind: [form, empty]}]}, verdict: rejected}
    - {when: {xpath: "//a[b='1' or @c]", empty: false}, verdict: duplicate, uniqueid: {xpath: //a/@c}}
    - {when: {css: "p.x > b:not(#y)", word: ok}, verdict: {css: i, attr: t, map: {1: error}, else: rejected}}
    - {when: {json: "..a[?@.b > 1.5]"}, verdict: error, email: {json: "$..*", as: "{b}{}"}}
    - {when: {text: '(?i)^(?P<uniqueid>[a-z]+)=(?P<note>.*)'}, verdict: error}
  verdict: {first: [{json: s}, {json: $}, {xpath: .}, {from: body}], map: {1: accepted, ok: accepted, no: rejected}}
  note: {join: [{json: $}, {xpath: .}, {css: body}, {from: body}]}
"""


@cache
def all_blocks() -> tuple[Answers, ...]:
    made = [compile_file(block).answers for block in BLOCKS]
    return tuple(answers for answers in made if answers is not None)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    file: Path = tmp_path_factory.mktemp("block") / "program.yaml"
    file.write_text(EVERYTHING, encoding="utf-8")
    compiled = compile_file(file)
    assert compiled.errors == []
    assert compiled.answers is not None
    return compiled.answers


def holds(answers: Answers, given_answer: LegacyAnswer) -> None:
    reading = answers.read(given_answer)
    assert reading.kind in KINDS
    assert (reading.rule == "") == (reading.verdict is None)
    assert reading.rule == "" or reading.rule in answers.rules
    for member in ("uniqueid", "sale_amount", "customerid", "email", "note"):
        value = getattr(reading, member)
        assert value is None or 0 < len(value) <= 4096
        assert value is None or value.encode("utf-8")  # no half of a surrogate pair
    assert answers.explain(given_answer).reading == reading


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["Content-Type", "content-encoding", "Location", "X"]),
        st.one_of(
            st.sampled_from(
                ["gzip", "br", "zstd", "deflate", "text/html; charset=utf-16", "a; charset=shift_jis", "/?id="]
            ),
            st.text(max_size=40),
        ),
    ),
    max_size=3,
).map(tuple)
PIECES = r"""<a> </a> <b > c=' " ' / &amp; & <!-- --> <![CDATA[ ]]> <?xml ?> <!doctype html> <script> </script> x ok
\u007b \ud800 { } [ ] : , "s" 1 null true = %41 é <p:q> </p:q> cb( ) ; <i t=1> <li> <style> </title> <br/>"""
MARKUP = st.lists(st.sampled_from([*PIECES.split(), " ", "\0", "\r\n", "\ufeff"]), max_size=25).map("".join)
BODIES = st.one_of(st.binary(max_size=200), MARKUP.map(str.encode), MARKUP.map(lambda text: text.encode("utf-16")))

RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)


@RELAXED
@given(status=st.integers(100, 599), headers=HEADERS, body=BODIES)
def test_any_bytes_give_a_reading(
    everything: Answers, status: int, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    holds(everything, LegacyAnswer(status, headers, body))


@settings(deadline=None, max_examples=150)
@given(
    case=st.sampled_from(CASES),
    block=st.integers(0, len(BLOCKS) - 1),
    cuts=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.binary(max_size=4)), max_size=4),
)
def test_damaged_answers_of_real_systems_give_a_reading_under_every_block(
    case: Path, block: int, cuts: list[tuple[float, int, bytes]]
) -> None:
    original, _ = case_of(case)
    body = original.body
    for where, length, put in cuts:
        at = int(where * len(body))
        body = body[:at] + put + body[at + length :]
    holds(all_blocks()[block], LegacyAnswer(original.status, original.headers, body))


@settings(deadline=None, max_examples=400)
@given(page=st.one_of(MARKUP, st.text(alphabet="<>/='\" abc!-\n", max_size=60)))
def test_what_the_parser_gets_of_a_page_has_no_more_attributes_than_were_counted(page: str) -> None:
    """What the guard takes for a tag is what the parser takes for one."""
    canonical = _canonical(page)
    assert _canonical(canonical) == canonical
    try:
        root = parse_html(canonical)
    except LimitHit:
        return
    counted = [len(_ATTRIBUTES.findall(token[2])) for token in _TOKEN.finditer(canonical) if token[1]]
    for element in root.iter(etree.Element) if root is not None else ():
        assert len(element.attrib) <= max(counted, default=0)


SIZE = 1 << 20
FLOODS: dict[str, Callable[[], str]] = {
    "attributes": lambda: "<!doctype html><p " + " ".join(f"a{number}" for number in range(150_000)),
    "quoted": lambda: "<!doctype html><p " + " ".join(f'a{number}="1"' for number in range(150_000)),
    "tags": lambda: "<a>" * SIZE,
    "unclosed": lambda: "<a " * SIZE,
    "comments": lambda: "<!--" * SIZE,
    "cdata": lambda: "<r>" + "<![CDATA[" * SIZE,
    "instructions": lambda: "<?" * SIZE,
    "ends": lambda: "</" * SIZE,
    "ampersands": lambda: "<r>" + "&" * SIZE,
    "entities": lambda: "<r>" + "&nbsp;" * SIZE,
    "scripts": lambda: "<script>" * SIZE,
    "arrays": lambda: "[" * SIZE,
    "objects": lambda: '{"a":' * SIZE,
    "strings": lambda: '""' * SIZE,
    "backslashes": lambda: '"' + "\\" * SIZE,
    "fields": lambda: "a=1&" * SIZE,
    "percents": lambda: "%41=%42&" * SIZE,
    "parentheses": lambda: "f(" + ")" * (SIZE - 3) + ";",
    "items": lambda: "<!doctype html>" + "<li>a" * SIZE,
    "blanks": lambda: "x" + " " * (SIZE - 2) + "x",
    "prefixes": lambda: "<a:b>" * SIZE,
    "doctype": lambda: "<!DOCTYPE a " + '"a" ' * SIZE,
    "billion laughs": lambda: '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><a>' + "&b;" * SIZE,
    "noise": lambda: "".join(random.Random(7).choices("<>/='\" ab{}[],:&;", k=SIZE)),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_megabyte_of_anything_is_read_or_given_up_soon(everything: Answers, flood: Callable[[], str]) -> None:
    body = flood()[:SIZE].encode()
    began = time.process_time()
    everything.read(LegacyAnswer(200, (), body))
    # A quarter of a second is the aim, on a quiet machine; a careless reader needs from 5 s to minutes.
    assert time.process_time() - began < 1.5


def test_nothing_outside_the_answer_is_ever_opened(everything: Answers, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("SECRET", encoding="utf-8")
    body = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]><a c="1"><b>&x;</b></a>'
    explanation = everything.explain(LegacyAnswer(200, (), body.encode()))
    assert "SECRET" not in str(explanation)
