"""The whole block: its keys, their order, what all rules share, and the reader that comes out of it.

Everything that is wrong is reported at once. Reading is total: any bytes give a reading; what hits a limit or does
not decompress is not recognised.
"""

from __future__ import annotations

from gateway.answers.document import Document, LegacyAnswer
from gateway.answers.explaining import Explanation, Unwrapping, explain_rules
from gateway.answers.keys import Block, Use, check_keys, entries_of, scalar
from gateway.answers.limits import UNWRAPS, LimitHit
from gateway.answers.opening import Unopened, clean, decode, decompress, is_wide, known_charset
from gateway.answers.patterns import MEMBERS
from gateway.answers.rules import Rule, compile_rule, compile_rules, use_of
from gateway.answers.sources import Source, compile_source
from gateway.answers.values import text_of
from gateway.datapost.values import Reading, Verdict
from gateway.settings.problems import Report

_KEYS = ("unwrap", "charset", "namespaces", "rules", "when", "verdict", "release", *MEMBERS)


class Answers:
    """One program's compiled `answers:` block."""

    __slots__ = ("_attempts", "_charset", "_keep_namespaces", "_most", "_rules", "_unwraps", "_wide", "rules")

    def __init__(
        self,
        rules: list[Rule],
        unwraps: tuple[Source, ...],
        *,
        charset: str | None,
        keep_namespaces: bool,
        max_answer: int,
    ) -> None:
        self.rules: tuple[str, ...] = tuple(rule.name for rule in rules)  # in the order in which they are tried
        self._rules = tuple(rules)
        self._attempts = tuple(rule.attempt for rule in rules)
        self._unwraps = unwraps
        self._charset = charset
        self._wide = charset is not None and is_wide(charset)
        self._keep_namespaces = keep_namespaces
        self._most = max_answer

    def read(self, answer: LegacyAnswer) -> Reading:
        """What the answer says. Never raises; never keeps or logs anything of the answer."""
        try:
            document = self._open(answer)
            if self._unwraps:
                document = self._unwrap(document)
        except LimitHit:
            return Reading(verdict=None, kind="text", limited=True)
        except Unopened:
            return Reading(verdict=None, kind="text")
        try:
            for attempt in self._attempts:
                reading = attempt(document)
                if reading is not None:
                    return reading
            return Reading(verdict=None, kind=document.kind)
        except LimitHit:
            return Reading(verdict=None, kind=document.apparent_kind, limited=True)

    def explain(self, answer: LegacyAnswer) -> Explanation:
        """The same reading, and how it came about. For people: it holds values of the answer."""
        reading = self.read(answer)
        steps: list[Unwrapping] = []
        try:
            document = self._unwrap(self._open(answer), steps)
        except (LimitHit, Unopened):
            return Explanation(reading=reading, unwraps=tuple(steps), members=(), missed=(), opened=False)
        return explain_rules(reading, document, self._rules, tuple(steps))

    def _open(self, answer: LegacyAnswer) -> Document:
        body = answer.body
        encodings = content_type = ""
        for name, value in answer.headers:
            length = len(name)
            if length == 16 and name.lower() == "content-encoding":
                encodings = f"{encodings},{value}"
            elif length == 12 and name.lower() == "content-type":
                content_type = content_type or value
        if encodings:
            body = decompress(body, encodings, most=self._most)
        elif len(body) > self._most:
            raise LimitHit
        # Every charset that is read, but for the wide ones, has ASCII in it; those are full of zeros.
        if body.isascii() and b"\0" not in body and not self._wide:
            text = body.decode("ascii").strip()
            if "\r" in text:
                text = clean(text)
        else:
            text = clean(decode(body, content_type, self._charset))
        return Document(answer.status, answer.headers, text, self._keep_namespaces)

    def _unwrap(self, document: Document, steps: list[Unwrapping] | None = None) -> Document:
        for source in self._unwraps:
            inner = next((text for node in source.nodes(document, None) if (text := text_of(node))), None)
            if steps is not None:
                steps.append(Unwrapping(source.where, source.label, inner is not None))
            if inner is not None:
                document = document.unwrapped(clean(inner))
        return document


def compile_answers(block: object, report: Report, *, max_answer: int) -> Answers | None:
    """Compile an `answers:` block; None when an error was reported.

    block: plain dict and list data in which every scalar is the text in the file (an empty plain scalar is None).
    max_answer: octets of an answer that are read, after decompression.
    """
    before = sum(not problem.warning for problem in report.problems)
    made = _compile(block, report, max_answer)
    return made if sum(not problem.warning for problem in report.problems) == before else None


def _compile(block: object, report: Report, max_answer: int) -> Answers | None:
    if isinstance(block, list) and block:
        listed = compile_rules(block, {}, report, Block()) or []
        _warn(listed, report, [report.at(index) for index in range(len(block))])
        return Answers(listed, (), charset=None, keep_namespaces=False, max_answer=max_answer)
    if not isinstance(block, dict) or not ("rules" in block or "verdict" in block):
        report.error("neither rules nor verdict", "one of them is needed")
        if isinstance(block, dict):
            check_keys(block, _KEYS, report)
        return None
    check_keys(block, _KEYS, report)
    _check_order(block, report)
    context = Block(namespaces=_namespaces(block, report))
    charset = _charset(block, report)
    unwraps = _unwraps(block, report, context)
    shared: dict[str, Source] = {}
    for member in MEMBERS:
        if member in block:
            source = compile_source(block[member], report.at(member), use_of(member), context)
            if source is not None:
                shared[member] = source
    rules: list[Rule] = []
    places: list[Report] = []
    if "rules" in block:
        raw = block["rules"]
        if not isinstance(raw, list):
            report.at("rules").error("is no list" if raw else "is empty", "a list of rules")
        else:
            rules = compile_rules(raw, shared, report.at("rules"), context) or []
            places = [report.at("rules", index) for index in range(len(raw))]
    if "verdict" in block:
        own = _own_rule(block, shared, report, context)
        if own is not None:
            rules = [*rules, own]
        places.append(report.at("verdict"))
    elif "when" in block or "release" in block:
        name = "when" if "when" in block else "release"
        report.at(name).error("belongs to a verdict, which is missing", "add verdict", key=True)
    if len(rules) == len(places):
        _warn(rules, report, places)
    return Answers(
        rules, unwraps, charset=charset, keep_namespaces=context.namespaces is not None, max_answer=max_answer
    )


def _own_rule(block: dict[str, object], shared: dict[str, Source], report: Report, context: Block) -> Rule | None:
    own = compile_rule(block, "verdict", shared, report, context, own=True)
    if own is not None and "rules" not in block:
        # With rules above it, a member here is theirs, and the group replaces it for this rule alone.
        for member in own.groups:
            if member in block:
                report.at(member).error("given twice, by the group in when and here", "keep one")
    return own


def _check_order(block: dict[str, object], report: Report) -> None:
    """A block reads from top to bottom: what is tried first stands first."""
    names = list(block)
    for name in ("when", "verdict"):
        if "rules" in block and name in block and names.index(name) < names.index("rules"):
            report.at(name).error("stands above rules, which are tried first", "move it below them", key=True)


def _namespaces(block: dict[str, object], report: Report) -> dict[str, str] | None:
    if "namespaces" not in block:
        return None
    raw, place = block["namespaces"], report.at("namespaces")
    if not isinstance(raw, dict) or not raw:
        place.error("is no mapping", "{prefix: uri}")
        return {}
    found: dict[str, str] = {}
    for prefix, uri in raw.items():
        if not prefix or not prefix.replace("-", "_").isidentifier() or prefix.lower().startswith("xml"):
            place.at(prefix).error("is no prefix", "a name", key=True)
        elif (text := scalar(uri, place.at(prefix))) is not None:
            found[prefix] = text
    return found


def _charset(block: dict[str, object], report: Report) -> str | None:
    if "charset" not in block:
        return None
    name = scalar(block["charset"], report.at("charset"))
    if name is None:
        return None
    codec = known_charset(name)
    if codec is None:
        report.at("charset").error(f"{name} is no charset that is read", "utf-8, windows-1252, iso-8859-2, utf-16, …")
    return codec


def _unwraps(block: dict[str, object], report: Report, context: Block) -> tuple[Source, ...]:
    if "unwrap" not in block:
        return ()
    raw, place = block["unwrap"], report.at("unwrap")
    if isinstance(raw, list) and len(raw) > UNWRAPS:
        place.error(f"{len(raw)} unwraps", f"at most {UNWRAPS}")
        return ()
    if isinstance(raw, list):
        if not entries_of(raw, place):
            return ()
        made = [compile_source(entry, place.at(index), Use.UNWRAP, context) for index, entry in enumerate(raw)]
    else:
        made = [compile_source(raw, place, Use.UNWRAP, context)]
    return tuple(source for source in made if source is not None)


def _warn(rules: list[Rule], report: Report, places: list[Report]) -> None:
    if rules and not any(Verdict.ACCEPTED in rule.conclusion.possible for rule in rules):
        report.warn("no rule can conclude accepted", "add one that does")
    for index, rule in enumerate(rules[:-1]):
        if rule.when is None and rule.conclusion.constant:
            places[index + 1].warn(f"never tried, since {rule.name} takes any answer", "move that rule to the end")
            break
