"""The contract of one program, compiled: what is answered for a refusal and for a legacy answer.

Everything that settings decide is decided at compile time; a Contract holds functions and tables. It knows
no clock and makes no references: they are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.datapost.masking import Mask, compile_mask
from gateway.datapost.money import ReadMoney, compile_money
from gateway.datapost.negotiate import Format, negotiated
from gateway.datapost.note import MOST, Names, fault_note, plain_note, told_note
from gateway.datapost.order_id import ShowId, compile_order_id
from gateway.datapost.person import Tell, compile_customer_id, compile_email
from gateway.datapost.reasons import Reason
from gateway.datapost.statuses import statuses
from gateway.datapost.values import DataPostResponse, Fault, Reading, Verdict
from gateway.datapost.wording import capital, clean, shorten
from gateway.settings.models import AnswerSettings, SaleAmountSettings
from gateway.settings.problems import Report, loose_report


class Conclusion(NamedTuple):
    """What follows from a legacy answer.

    legacy_id: the ID the legacy gave, as it gave it, whatever the verdict; None when it gave none. mapped:
    the answer's uniqueid stands for it, since it did not fit.
    """

    reason: Reason
    answer: DataPostResponse
    legacy_id: str | None
    mapped: bool


#: What a verdict is told as, when nothing that it needs is missing.
REASONS: Mapping[Verdict | None, Reason] = {
    Verdict.ACCEPTED: Reason.ACCEPTED,
    Verdict.REJECTED: Reason.LEGACY_REJECTED,
    Verdict.DUPLICATE: Reason.LEGACY_DUPLICATE,
    Verdict.ERROR: Reason.LEGACY_ERROR,
    None: Reason.UNRECOGNIZED_ANSWER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """How one program answers. Made by `compile_contract`; shared by all its submissions."""

    choose_format: Callable[[str | None], Format]
    statuses: Mapping[Reason, int]
    show_id: ShowId
    read_amount: Callable[[str | None], str | None]
    tell_customer: Tell
    tell_email: Tell
    mask: Mask
    names: Names

    def format_for(self, accept: str | None) -> Format:
        """The form of the answer; `accept` are the Accept header's values joined with `, `, None without one."""
        return self.choose_format(accept)

    def status(self, reason: Reason) -> int:
        """The status that goes out for `reason` once this program is matched and the framing is sound."""
        return self.statuses[reason]

    def refuse(
        self,
        reason: Reason,
        reference: str,
        *,
        faults: Sequence[Fault] = (),
        unknown: int = 0,
        text: str = "",
    ) -> DataPostResponse:
        """The answer of a submission that the gateway itself ends, for any reason but ACCEPTED.

        faults and unknown (how many fields are not known) are told with LEAD_INVALID alone. text, a clause
        without any value of the lead, is said in place of the reason's sentence.
        """
        if text and (sentence := clean(text)):
            sentence = capital(sentence if sentence.endswith(".") else sentence + ".")
            return _invalid(told_note(sentence, reason, reference))
        if reason is Reason.LEAD_INVALID and (faults or unknown):
            return _invalid(fault_note(faults, unknown, self.names, reason, reference))
        return _invalid(plain_note(reason, reference))

    def conclude(self, reading: Reading, lead: Mapping[str, str], reference: str) -> Conclusion:
        """What a legacy answer means for the partner; `lead` is what the legacy was sent, name -> text.

        An acceptance whose ID or amount is needed and cannot be told is no acceptance: its outcome is unknown.
        """
        legacy_id = reading.uniqueid or None
        if reading.verdict is Verdict.ACCEPTED:
            shown, amount = self.show_id(legacy_id, reference), self.read_amount(reading.sale_amount)
            if shown is not None and amount is not None:
                # In the order of the members: by their names it takes twice as long.
                answer = DataPostResponse(
                    True,
                    shown.text,
                    amount,
                    self.tell_customer(reading.customerid, lead),
                    self.tell_email(reading.email, lead),
                    self._accepted_note(reading.note, lead) if reading.note else Reason.ACCEPTED.sentence,
                )
                return Conclusion(Reason.ACCEPTED, answer, legacy_id, shown.mapped)
            reason = Reason.UNRECOGNIZED_ANSWER
        else:
            reason = REASONS[reading.verdict]
        # What an answer says that could not be understood is not told: it may say the contrary.
        if reading.note and reason is not Reason.UNRECOGNIZED_ANSWER:
            note = told_note(self.mask(reading.note, lead), reason, reference)
        else:
            note = plain_note(reason, reference)
        return Conclusion(reason, _invalid(note), legacy_id, mapped=False)

    def remarks(self, reading: Reading, reference: str) -> tuple[str, ...]:
        """What `conclude` makes of an accepted lead's ID and amount that the reading alone does not show, in words."""
        if reading.verdict is not Verdict.ACCEPTED:
            return ()
        remarks = []
        shown = self.show_id(reading.uniqueid or None, reference)
        if shown is None:
            remarks.append("no ID that can be shown")
        elif shown.mapped:
            remarks.append("ID mapped")
        elif shown.text != reading.uniqueid:
            remarks.append("the reference stands for the ID")
        if reading.sale_amount and not self.read_amount(reading.sale_amount):
            remarks.append("amount unreadable")
        return tuple(remarks)

    def _accepted_note(self, said: str, lead: Mapping[str, str]) -> str:
        return shorten(self.mask(said, lead), MOST) or Reason.ACCEPTED.sentence


def _invalid(note: str) -> DataPostResponse:
    return DataPostResponse(valid=False, note=note)


def compile_contract(
    settings: AnswerSettings,
    *,
    program: str,
    id_key: bytes | None,
    report: Report,
    fields: Iterable[str] = (),
) -> Contract:
    """Compile the `answer` block of `program`; `report` stands at that block and takes all that is wrong in it.

    id_key keys the hashes that stand for IDs; without it there are none. fields are the configured names of
    the lead: they alone may be named in a note.
    """
    fields = tuple(fields)
    if fields:
        _check_fields(settings, fields, report)
    return Contract(
        choose_format=_choice(settings),
        statuses=statuses(settings.status_codes),
        show_id=compile_order_id(settings.uniqueid, program=program, id_key=id_key, report=report.at("uniqueid")),
        read_amount=_compile_amount(settings.sale_amount),
        tell_customer=compile_customer_id(settings.customerid, id_key=id_key, report=report.at("customerid")),
        tell_email=compile_email(settings),
        mask=compile_mask(fields),
        names=Names(fields),
    )


def _choice(settings: AnswerSettings) -> Callable[[str | None], Format]:
    match settings.format:
        case "negotiate":
            return negotiated
        case "xml":
            return lambda accept: Format.XML
        case "json":
            return lambda accept: Format.JSON


def _compile_amount(settings: SaleAmountSettings) -> Callable[[str | None], str | None]:
    """The sale_amount: empty when there is none; None when one is there, cannot be read, and must be."""
    read: ReadMoney = compile_money(settings.money)
    unreadable = None if settings.when_unreadable == "unknown" else ""

    def amount(written: str | None) -> str | None:
        if not written:
            return ""
        known = read(written)
        return unreadable if known is None else known

    return amount


def _check_fields(settings: AnswerSettings, fields: tuple[str, ...], report: Report) -> None:
    named = [
        (report.at("customerid", "field"), settings.customerid.field),
        (report.at("customerid", "hash"), settings.customerid.hash),
        # The usual name is only a guess: a program without addresses need not say so.
        (report.at("email_from"), settings.email_from if "email_from" in settings.model_fields_set else None),
    ]
    for at, name in named:
        if name is not None and name not in fields:
            at.error(f"{clean(name)} is no field of the lead", "one of " + ", ".join(fields))


#: Before a program is known: JSON, true statuses. It proves nothing, since it never accepts.
DEFAULT_CONTRACT = compile_contract(
    AnswerSettings.model_validate({"status_codes": "http", "uniqueid": {"when_missing": "unknown"}}),
    program="",
    id_key=None,
    report=loose_report(),
)
