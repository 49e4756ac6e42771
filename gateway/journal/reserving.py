"""From a checked lead to what it reserves: one program's duplicate rules, replay and index, compiled.

Decides which of a lead's values become which hashes. What those meet in the journal is `deciding`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.journal.keys import Hashes, normaliser
from gateway.journal.values import Claim, Entry
from gateway.settings.models import LeadSettings, Replay
from gateway.settings.problems import Report

Pairs = tuple[tuple[str, str], ...]
_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What the leads of one program reserve. Made by `compile_reservation`."""

    program: str
    fingerprint: Callable[[str, Pairs], bytes]
    claims: tuple[Callable[[str, Sequence[tuple[str, str]]], Claim | None], ...]
    texts: Mapping[str, Callable[[object], str]]  # field -> its normaliser, of fields that a claim or the index needs
    index: tuple[str, ...]
    hashes: Hashes
    replay_ms: int
    unknown_hold_ms: int

    def entry(
        self,
        *,
        reference: str,
        partner: str,
        received_ms: int,
        pairs: Pairs,
        typed: Mapping[str, object],
        idempotency_key: str | None,
        content_type: str,
        body: bytes,
    ) -> Entry:
        """The submission as its first commit writes it.

        pairs: canonical names and texts of the whole lead, as `Checked.fields` has them. typed: name -> value.
        """
        texts = [(name, text(typed[name])) for name, text in self.texts.items() if name in typed]
        key = None
        if idempotency_key:
            key = self.hashes.idempotency(self.program, partner, idempotency_key)
        return Entry(
            reference=reference,
            program=self.program,
            partner=partner,
            received_ms=received_ms,
            fingerprint=self.fingerprint(partner, pairs),
            idempotency=key,
            replay_ms=self.replay_ms,
            unknown_hold_ms=self.unknown_hold_ms,
            claims=tuple(claim for make in self.claims if (claim := make(partner, texts)) is not None),
            index=tuple(self.hashes.index(name, text) for name, text in texts if name in self.index and text),
            content_type=content_type,
            body=body,
        )


def compile_reservation(
    settings: LeadSettings,
    *,
    program: str,
    signed_in: bool,
    index: Sequence[str],
    hashes: Hashes,
    report: Report,
) -> Reservation:
    """Compile `lead.duplicates`, `lead.replay` and the journal's index for one program.

    signed_in: partners have credentials, so that they can be told apart. report: at the `lead` block.
    """
    claims = []
    seen: set[str] = set()
    for number, rule in enumerate(settings.duplicates):
        at = report.at("duplicates", number)
        if rule.name in seen:
            at.at("name").error(f"{rule.name} is the name of another rule", "a name of its own")
        seen.add(rule.name)
        for position, name in enumerate(rule.key):
            if name not in settings.fields:
                at.at("key", position).error(f"{name} is no field of the lead", "one of " + ", ".join(settings.fields))
            elif not settings.fields[name].required:
                at.at("key", position).warn(
                    f"{name} is optional, and without it the rule does not apply", "required: true, or another key"
                )
        claims.append(hashes.claimer(program, rule.name, rule.key, window_ms=int(rule.window * _MS), scope=rule.scope))
    replay = settings.replay
    named = () if replay is None or replay.fields == "all" else replay.fields
    for position, name in enumerate(named):
        if name not in settings.fields:
            report.at("replay", "fields", position).error(
                f"{name} is no field of the lead", "all, or some of " + ", ".join(settings.fields)
            )
    if replay is None:
        # Without credentials two people with the same lead would be one: only where partners can be told apart.
        replay = Replay() if signed_in else Replay(window=0.0)
    elif replay.window and not signed_in:
        report.at("replay").warn(
            "partners cannot be told apart, so anybody's resend of a lead is answered as the first was",
            "auth with users, or window: 0s",
        )
    needed = {name for rule in settings.duplicates for name in rule.key} | set(index)
    return Reservation(
        program=program,
        fingerprint=_fingerprint(program, hashes, replay),
        claims=tuple(claims),
        texts={name: normaliser(field.type) for name, field in settings.fields.items() if name in needed},
        index=tuple(name for name in index if name in settings.fields),
        hashes=hashes,
        replay_ms=int(replay.window * _MS),
        unknown_hold_ms=int(settings.unknown_hold * _MS),
    )


def _fingerprint(program: str, hashes: Hashes, replay: Replay) -> Callable[[str, Pairs], bytes]:
    """Of a whole lead, or of the named fields; a lead that has none of these is told from others by all it has."""
    whole = hashes.fingerprinter(program, ignore=replay.ignore)
    if replay.fields == "all":
        return whole
    named = frozenset(replay.fields) - frozenset(replay.ignore)
    part = hashes.fingerprinter(program, fields=named)

    def fingerprint(partner: str, pairs: Pairs) -> bytes:
        return (part if any(name in named for name, _ in pairs) else whole)(partner, pairs)

    return fingerprint
