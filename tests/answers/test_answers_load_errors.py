"""What is wrong with a block, word for word, each at its place and all at once (section 8 of the language)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.blocks import Compiled

Compile = Callable[..., Compiled]

CONDITION_KEYS = (
    "status, kind, json, xpath, css, text, form, header, from, first, join, query, matches, decode, map, as, "
    "equals, word, exists, empty, any, not, for, unless, attr"
)
CSS = "type, #id, .class, [attr], the four combinators, :not, :first-child, :nth-child"
VERDICTS = "accepted, rejected, duplicate or error"
LONG = "x" * 501


def rule(when: str) -> str:
    return f"- {{when: {when}, verdict: rejected}}"


def member(source: str) -> str:
    return f"when: {{status: 200}}\nverdict: rejected\nuniqueid: {source}"


def verdict(words: str) -> str:
    return f"verdict: {words}"


ERRORS = {
    # the block
    "a text": ("hello", "answers: neither rules nor verdict; one of them is needed"),
    "an empty list": ("[]", "answers: neither rules nor verdict; one of them is needed"),
    "only members": ("note: {json: a}", "answers: neither rules nor verdict; one of them is needed"),
    "order": (
        "verdict: {json: a, map: {x: accepted}}\nrules: [{when: {status: 404}, verdict: error}]",
        "answers.verdict: stands above rules, which are tried first; move it below them",
    ),
    "order of when": (
        "when: {json: a}\nrules: [{when: {status: 404}, verdict: error}]\nverdict: error",
        "answers.when: stands above rules, which are tried first; move it below them",
    ),
    "when without verdict": (
        "rules: [{when: {status: 404}, verdict: error}]\nwhen: {json: a}",
        "answers.when: belongs to a verdict, which is missing; add verdict",
    ),
    "unknown key of the block": ("verdict: error\nnotes: x", "answers.notes: unknown key; did you mean note?"),
    "rules empty": ("rules:", "answers.rules: is empty; a list of rules"),
    "rules no list": ("rules: {verdict: error}", "answers.rules: is no list; a list of rules"),
    "rules an empty list": ("rules: []", "answers.rules: is empty; a list of rules"),
    "rule no mapping": ("- error", "answers[0]: is no rule; a mapping with verdict"),
    "rule without verdict": (
        "- {when: {status: 200}}",
        "answers[0]: no verdict; accepted, rejected, duplicate, error, or a source with a map",
    ),
    "release": ("- {verdict: error, release: yes}", "answers[0].release: is neither true nor false; true or false"),
    "name": ("- {verdict: error, name: a b}", "answers[0].name: is no name; letters, digits and _ . -, at most 64"),
    "name twice": (
        "- {when: {status: 200}, verdict: error, name: a}\n- {verdict: error, name: a}",
        "answers[1].name: a is another rule's name; a name of its own",
    ),
    "too many rules": ("\n".join(["- {when: {status: 404}, verdict: error}"] * 101), "answers: 101 rules; at most 100"),
    "charset": (
        "charset: utf-7\nverdict: error",
        "answers.charset: utf-7 is no charset that is read; utf-8, windows-1252, iso-8859-2, utf-16, …",
    ),
    "charset empty": ("charset:\nverdict: error", "answers.charset: is empty"),
    "namespaces": ("namespaces: x\nverdict: error", "answers.namespaces: is no mapping; {prefix: uri}"),
    "namespace prefix": ("namespaces: {1a: u}\nverdict: error", "answers.namespaces.1a: is no prefix; a name"),
    "namespace uri": ("namespaces: {a: [u]}\nverdict: error", "answers.namespaces.a: is no text; one word or text"),
    "unwraps": (
        "unwrap: [{json: a}, {json: a}, {json: a}, {json: a}, {json: a}]\nverdict: error",
        "answers.unwrap: 5 unwraps; at most 4",
    ),
    "no unwraps": ("unwrap: []\nverdict: error", "answers.unwrap: is empty; at least one entry"),
    "unwrap a text": (
        "unwrap: body\nverdict: error",
        "answers.unwrap: a text where a source belongs; add json, xpath, css, …",
    ),
    "unwrap for": (
        "unwrap: {json: a, for: accepted}\nverdict: error",
        "answers.unwrap.for: has no place in unwrap; it belongs to values",
    ),
    # conditions
    "misspelt": (rule("{jsn: a}"), "answers[0].when.jsn: unknown key; did you mean json?"),
    "stranger": (rule("{qqqq: a}"), f"answers[0].when.qqqq: unknown key; allowed: {CONDITION_KEYS}"),
    "for": (rule("{json: a, for: accepted}"), "answers[0].when.for: has no place in a condition; it belongs to values"),
    "two sources": (
        rule("{json: a, xpath: b}"),
        "answers[0].when: two sources, json and xpath; put each in its own entry of a list",
    ),
    "no source": (rule("{equals: a}"), "answers[0].when: equals without a source; add json, xpath, css, …"),
    "no source for matches": (
        rule("{matches: a}"),
        "answers[0].when: matches without a source; add json, xpath, css, …",
    ),
    "when empty": (
        "- {when: , verdict: error}",
        "answers[0].when: is empty; a mapping, or a list of them of which all must hold",
    ),
    "when a text": (
        rule("json"),
        "answers[0].when: is no condition; a mapping, or a list of them of which all must hold",
    ),
    "when no entries": (rule("[]"), "answers[0].when: is empty; at least one entry"),
    "status": (
        rule("{status: ok}"),
        "answers[0].when.status: is no status; a code like 201, or 2xx, 4xx, 5xx, or a list of them",
    ),
    "status in a list": (
        rule("{status: [200, 20]}"),
        "answers[0].when.status[1]: is no status; a code like 201, or 2xx, 4xx, 5xx, or a list of them",
    ),
    "status empty": (
        rule("{status: }"),
        "answers[0].when.status: is no status; a code like 201, or 2xx, 4xx, 5xx, or a list of them",
    ),
    "kind": (
        rule("{kind: soap}"),
        "answers[0].when.kind: soap is no kind of document; json, xml, html, form, text or empty",
    ),
    "kind in a list": (
        rule("{kind: [xml, {a: b}]}"),
        "answers[0].when.kind[1]: this is no kind of document; json, xml, html, form, text or empty",
    ),
    "equals empty": (
        rule("{json: a, equals: ''}"),
        "answers[0].when.equals: is empty; a text; for what is empty there is empty: true",
    ),
    "equals a mapping": (
        rule("{json: a, equals: {b: c}}"),
        "answers[0].when.equals: is no text; a text or a list of texts",
    ),
    "equals no entries": (rule("{json: a, equals: []}"), "answers[0].when.equals: is empty; a text or a list of texts"),
    "word": (
        rule("{json: a, word: [x, ' ']}"),
        "answers[0].when.word[1]: is empty; a text; for what is empty there is empty: true",
    ),
    "exists": (rule("{json: a, exists: yes}"), "answers[0].when.exists: is neither true nor false; true or false"),
    "empty": (rule("{json: a, empty: }"), "answers[0].when.empty: is neither true nor false; true or false"),
    "any": (rule("{any: {json: a}}"), "answers[0].when.any: is no list; a list of conditions"),
    "deep": (
        rule("{not: {not: {not: {not: {json: a}}}}}"),
        "answers[0].when.not.not.not.not: conditions more than 4 deep; at most 4",
    ),
    "group in not": (
        rule("{not: {text: '(?P<uniqueid>a)'}}"),
        "answers[0].when.not: group uniqueid gives nothing inside not; leave the name away",
    ),
    "text in a condition": (
        rule("{first: [{json: a}, b], equals: c}"),
        "answers[0].when.first[1]: a text where a source belongs; add json, xpath, css, …",
    ),
    # verdicts
    "no verdict": (verdict("success"), f"answers.verdict: success is no verdict; {VERDICTS}"),
    "verdict empty": (
        verdict(""),
        "answers.verdict: is empty; accepted, rejected, duplicate, error, or a source with a map",
    ),
    "no map": (verdict("{json: a}"), "answers.verdict: a source without map; add map: {word: verdict}"),
    "no map in a list": (
        verdict("[{json: a, map: {x: error}}, error]"),
        "answers.verdict[1]: a source without map; add map: {word: verdict}",
    ),
    "verdicts empty": (verdict("[]"), "answers.verdict: is empty; at least one entry"),
    "accepted always": (
        verdict("accepted"),
        "answers.verdict: accepted without when would take any answer; add a condition",
    ),
    "accepted else": (
        verdict("{json: a, map: {x: error}, else: accepted}"),
        "answers.verdict.else: accepted cannot be the rest; list its words",
    ),
    "else": (verdict("{json: a, map: {x: error}, else: no}"), f"answers.verdict.else: no is no verdict; {VERDICTS}"),
    "word of a map": (verdict("{json: a, map: {x: ok}}"), f"answers.verdict.map.x: ok is no verdict; {VERDICTS}"),
    "word with a note": (
        verdict("{json: a, map: {x: {ok: y}}}"),
        f"answers.verdict.map.x: ok is no verdict; {VERDICTS}",
    ),
    "two verdicts": (
        verdict("{json: a, map: {x: {error: y, rejected: z}}}"),
        "answers.verdict.map.x: 2 verdicts; {verdict: note}",
    ),
    "note of a map": (
        verdict("{json: a, map: {x: {error: }}}"),
        "answers.verdict.map.x.error: is no text; {verdict: note}",
    ),
    "map a list": (verdict("{json: a, map: [x]}"), "answers.verdict.map: is no mapping; {word: …}"),
    "map empty": (verdict("{json: a, map: {}}"), "answers.verdict.map: is empty; {word: …}"),
    "same key": (
        "verdict:\n  json: a\n  map:\n    yes: accepted\n    no: rejected\n    YES: accepted",
        "answers.verdict.map.YES: same key as yes in line 5, since case does not count; keep one",
    ),
    "status map": (
        verdict("{from: status, map: {ok: error}}"),
        "answers.verdict.map.ok: is no status; a code like 201, or 2xx, 4xx, 5xx",
    ),
    "verdict for": (
        verdict("{json: a, map: {x: error}, for: error}"),
        "answers.verdict.for: has no place in a verdict; it belongs to values",
    ),
    # values
    "member empty": (member(""), 'answers.uniqueid: is empty; a source, or "" for none'),
    "member without a source": (
        member("{matches: a}"),
        "answers.uniqueid: matches without a source; add json, xpath, css, …",
    ),
    "member an empty mapping": (member("{}"), "answers.uniqueid: is empty; add json, xpath, css, …"),
    "equals in a value": (
        member("{json: a, equals: b}"),
        "answers.uniqueid.equals: unknown key; allowed: json, xpath, css, text, form, header, from, first, join, "
        "query, matches, decode, map, as, for, unless, attr",
    ),
    "given twice": (
        "when: {text: '^(?P<uniqueid>a)'}\nverdict: rejected\nuniqueid: {json: a}",
        "answers.uniqueid: given twice, by the group in when and here; keep one",
    ),
    "given twice in a rule": (
        "- {when: {text: '^(?P<uniqueid>a)'}, verdict: rejected, uniqueid: {json: a}}",
        "answers[0].uniqueid: given twice, by the group in when and here; keep one",
    ),
    "css empty": (member("{css: }"), 'answers.uniqueid.css: is empty, since # begins a comment in YAML; write "#id"'),
    "json empty": (member("{json: }"), "answers.uniqueid.json: is empty"),
    "json a list": (member("{json: [a]}"), "answers.uniqueid.json: is no text; one word or text"),
    "attr": (member("{css: a, attr: }"), "answers.uniqueid.attr: is empty"),
    "attr elsewhere": (
        member("{xpath: a, attr: b}"),
        "answers.uniqueid.attr: has no place without css; for XML write @name in the path",
    ),
    "first no list": (member("{first: a}"), "answers.uniqueid.first: is no list; a list of sources"),
    "join no list": (member("{join: a}"), "answers.uniqueid.join: is no list; a list of sources"),
    "join empty": (member("{join: []}"), "answers.uniqueid.join: is empty; at least one entry"),
    "bad entry of a join": (member("{join: [{json: }]}"), "answers.uniqueid.join[0].json: is empty"),
    "bad entry of a list": (member("[{json: a}, {json: }]"), "answers.uniqueid[1].json: is empty"),
    "alternatives": (member("[" + ", ".join(["{json: a}"] * 21) + "]"), "answers.uniqueid: 21 entries; at most 20"),
    "header": (member("{header: 'a b'}"), "answers.uniqueid.header: is no header name; letters, digits and dashes"),
    "from": (member("{from: head}"), "answers.uniqueid.from: head is not known here; status or body"),
    "query": (member("{header: a, query: }"), "answers.uniqueid.query: is empty"),
    "matches empty": (member("{header: a, matches: }"), "answers.uniqueid.matches: is empty"),
    "decode": (member("{header: a, decode: base64}"), "answers.uniqueid.decode: is no coding; js, url or html"),
    "value map": (member("{json: a, map: {x: }}"), "answers.uniqueid.map.x: is empty"),
    "for whom": (member("{json: a, for: ok}"), f"answers.uniqueid.for: ok is no verdict; {VERDICTS}"),
    "for nobody": (
        member("{json: a, unless: []}"),
        "answers.uniqueid.unless: is empty; a verdict or a list of verdicts",
    ),
    "template empty": (member("{json: a, as: }"), "answers.uniqueid.as: is empty"),
    "template without parts": (
        member("{json: a, as: x}"),
        "answers.uniqueid.as: names no part of the node; {name}, {@attribute} or {}",
    ),
    "template brace": (
        member("{json: a, as: '{a} {'}"),
        "answers.uniqueid.as: a brace without its partner; {name}, {@attribute} or {}",
    ),
    "template length": (
        member(f"{{json: a, as: '{LONG}'}}"),
        "answers.uniqueid.as: template of 501 characters; at most 500",
    ),
    # patterns
    "look-around": (member("{text: 'a(?=b)'}"), "answers.uniqueid.text: look-around is not in RE2"),
    "look-behind": (member("{text: '(?<!a)b'}"), "answers.uniqueid.text: look-around is not in RE2"),
    "groups": (member("{text: '(a)(b)'}"), "answers.uniqueid.text: two unnamed groups; use one, or name them"),
    "member of a group": (
        rule("{text: '(?P<order_id>a)'}"),
        "answers[0].when.text: group order_id is no member; uniqueid, sale_amount, …",
    ),
    "group twice": (rule("{text: '(?P<note>a)|(?P<note>b)'}"), "answers[0].when.text: group note given twice; use one"),
    "pattern": (member("{text: 'a('}"), "answers.uniqueid.text: is no RE2 pattern: missing ): a("),
    "back-reference": (
        member(r"{text: '(a)\1'}"),
        r"answers.uniqueid.text: is no RE2 pattern: invalid escape sequence: \1",
    ),
    "pattern length": (member(f"{{text: '{LONG}'}}"), "answers.uniqueid.text: pattern of 501 characters; at most 500"),
    "pattern size": (
        member("{text: '\\pL{500}\\pN{500}\\pP{500}'}"),
        "answers.uniqueid.text: is no RE2 pattern: pattern too large - compile failed",
    ),
    # paths
    "json path": (
        member("{json: lead.id.}"),
        "answers.uniqueid.json: expected a name after . at column 8; RFC 9535 path",
    ),
    "json path in the middle": (
        member("{json: 'a.[0]'}"),
        "answers.uniqueid.json: expected a name after . at column 2; RFC 9535 path",
    ),
    "json bracket": (
        member("{json: 'a[0'}"),
        "answers.uniqueid.json: unexpected end of segment at column 3; RFC 9535 path",
    ),
    "json descents": (member("{json: '..a..b..c'}"), "answers.uniqueid.json: more than two ..; at most two"),
    "json match": (
        member("{json: 'a[?match(@.b, ''x'')]'}"),
        "answers.uniqueid.json: match() and search() are not known here; use matches beside the path",
    ),
    "json regex": (
        member("{json: 'a[?@.b=~/x/]'}"),
        "answers.uniqueid.json: unexpected token '=' at column 7; RFC 9535 path",
    ),
    "json union": (member("{json: 'a | b'}"), "answers.uniqueid.json: unexpected token '|' at column 3; RFC 9535 path"),
    "json length": (member(f"{{json: {LONG}}}"), "answers.uniqueid.json: path of 501 characters; at most 500"),
    "xpath prefix": (
        member("{xpath: '//soap:Body/x'}"),
        "answers.uniqueid.xpath: prefix soap: names are matched without namespaces; "
        "write //Body, or declare namespaces",
    ),
    "xpath undeclared": (
        "namespaces: {a: u}\n" + member("{xpath: 'b:x'}"),
        "answers.uniqueid.xpath: prefix b is not declared; namespaces has a",
    ),
    "xpath syntax": (
        member("{xpath: 'a['}"),
        "answers.uniqueid.xpath: is no XPath 1.0 expression; a path like lead/id, //Price or /Result/@code",
    ),
    "xpath types": (
        member("{xpath: \"count('a')\"}"),
        "answers.uniqueid.xpath: is no XPath 1.0 expression; a path like lead/id, //Price or /Result/@code",
    ),
    "xpath variable": (member("{xpath: $a}"), "answers.uniqueid.xpath: variables are not known here"),
    "xpath function": (
        member("{xpath: document('a')}"),
        "answers.uniqueid.xpath: document() is no function of XPath 1.0; its core functions",
    ),
    "xpath extension": (
        member("{xpath: \"re:test(., 'a')\"}"),
        "answers.uniqueid.xpath: re:test() is no function of XPath 1.0; its core functions",
    ),
    "xpath axis": (
        member("{xpath: 'a/preceding::b'}"),
        "answers.uniqueid.xpath: the axis preceding is not known here; preceding-sibling, parent, ancestor, descendant",
    ),
    "xpath descents": (member("{xpath: //a//b//c//d}"), "answers.uniqueid.xpath: 4 times //; at most three"),
    "xpath descendants": (
        member("{xpath: 'descendant::a//b/descendant::c//d'}"),
        "answers.uniqueid.xpath: 4 times //; at most three",
    ),
    "xpath from the top inside": (
        member("{xpath: 'a[//b]'}"),
        "answers.uniqueid.xpath: // inside [ ] begins at the top each time; write .// for below this element",
    ),
    "xpath around twice": (
        member("{xpath: 'a[b[../c]]'}"),
        "answers.uniqueid.xpath: [ ] inside [ ] looks beyond its element; ask in one [ ] only",
    ),
    "xpath length": (member(f"{{xpath: {LONG}}}"), "answers.uniqueid.xpath: path of 501 characters; at most 500"),
    "css syntax": (member("{css: 'a['}"), f"answers.uniqueid.css: is no CSS selector; {CSS}"),
    "css pseudo-class": (member("{css: 'a:hover'}"), f"answers.uniqueid.css: :hover is not known here; {CSS}"),
    "css function": (member("{css: 'a:contains(x)'}"), f"answers.uniqueid.css: :contains() is not known here; {CSS}"),
    "css has": (member("{css: 'a:has(b)'}"), f"answers.uniqueid.css: relation is not known here; {CSS}"),
    "css pseudo-element": (
        member("{css: 'a::before'}"),
        f"answers.uniqueid.css: a pseudo-element is not known here; {CSS}",
    ),
    "css namespace": (member("{css: 'x|a'}"), f"answers.uniqueid.css: a namespace is not known here; {CSS}"),
    "css list": (
        member("{css: 'a, b'}"),
        "answers.uniqueid.css: a list of selectors is not known here; put each in its own entry of a list",
    ),
    "css length": (member(f"{{css: {LONG}}}"), "answers.uniqueid.css: path of 501 characters; at most 500"),
}


@pytest.mark.parametrize(("block", "error"), ERRORS.values(), ids=ERRORS)
def test_a_wrong_block_is_refused_with_the_place_and_what_is_allowed(compiled: Compile, block: str, error: str) -> None:
    made = compiled(block)
    assert error in made.errors
    assert made.answers is None


def test_map_entries_are_counted_over_the_whole_block(compiled: Compile) -> None:
    entries = ", ".join(f"k{number}: rejected" for number in range(600))
    texts = ", ".join(f"k{number}: t" for number in range(401))
    made = compiled(f"verdict: {{json: a, map: {{{entries}}}}}\nnote: {{json: b, map: {{{texts}}}}}")
    assert made.errors == ["answers.verdict.map: more than 1000 map entries in the block; at most 1000"]


def test_all_errors_of_a_block_show_at_once_each_with_line_and_column(compiled: Compile) -> None:
    made = compiled("""
        rules:
          - when: {jsn: a, status: ok}
            verdict: success
          - {when: {json: a..}, verdict: accepted, note: {css: }}
        verdict: {json: b, map: {x: nope}, matches: '(a)(b)'}
        uniqueid: {text: 'a('}
    """)
    assert made.answers is None
    found = [(one.place.line, one.place.column, one.key) for one in made.problems]
    assert sorted(found) == [
        (3, 14, "answers.rules[0].when.jsn"),
        (3, 30, "answers.rules[0].when.status"),
        (4, 16, "answers.rules[0].verdict"),
        (5, 21, "answers.rules[1].when.json"),
        (5, 58, "answers.rules[1].note.css"),
        (6, 31, "answers.verdict.map.x"),
        (6, 47, "answers.verdict.matches"),
        (7, 20, "answers.uniqueid.text"),
    ]


WARNINGS = {
    "status alone": (
        "- {when: {status: 200}, verdict: accepted}",
        "answers[0].when: accepted by status alone; add kind: empty, or look at the answer",
    ),
    "status map": (
        "verdict: {from: status, map: {200: accepted}}",
        "answers.verdict: accepted by status alone; add kind: empty, or look at the answer",
    ),
    "never accepted": (
        "- {when: {json: a}, verdict: error}",
        "answers: no rule can conclude accepted; add one that does",
    ),
    "unreachable": (
        "- {verdict: error}\n- {when: {json: a}, verdict: accepted}",
        "answers[1]: never tried, since rule-1 takes any answer; move that rule to the end",
    ),
    "empty match": (
        "- {when: {text: '^a*'}, verdict: accepted}",
        "answers[0].when.text: matches the empty text, so it is always found; make some part of it required",
    ),
    "else on body": (
        "verdict: {from: body, map: {ok: accepted}, else: rejected}",
        "answers.verdict: else over from: body takes any page for an answer; add when: {kind: text}",
    ),
    "loose text": (
        "- {when: {text: accepted}, verdict: accepted}",
        "answers[0].when: accepted by text that may stand anywhere; begin the pattern with ^",
    ),
}


@pytest.mark.parametrize(("block", "warning"), WARNINGS.values(), ids=WARNINGS)
def test_a_doubtful_block_is_warned_of_and_still_compiled(compiled: Compile, block: str, warning: str) -> None:
    made = compiled(block)
    assert made.warnings == [warning]
    assert made.answers is not None


@pytest.mark.parametrize(
    "block",
    [
        "- {when: {status: 200, kind: empty}, verdict: accepted}",
        "- {when: {text: '(?i)^ok'}, verdict: accepted}",
        "- {when: {text: '(?:^ok|^fine)'}, verdict: accepted}",
        "- {when: {status: 200, text: 'ok$'}, verdict: accepted}",
        "- {when: [{kind: html, css: title, equals: Thanks}, {text: thanks}], verdict: accepted}",
        "when: {kind: text}\nverdict: {from: body, map: {ok: accepted}, else: rejected}",
        "when: {kind: empty}\nverdict: {from: status, map: {200: accepted}}",
        "- {when: {json: a}, verdict: accepted}\n- {verdict: error}",
    ],
)
def test_a_careful_block_is_not_warned_of(compiled: Compile, block: str) -> None:
    assert compiled(block).problems == []
