"""Every setting there is, typed: the models behind `gateway check`, `gateway schema` and the reference.

Models check shapes and ranges. What needs a room's own knowledge (patterns, paths, the answers language)
is checked by that room's compiler, which is given its model and a `Report`. Durations are seconds, sizes
are bytes once validated.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from gateway.settings.addresses import parse_address
from gateway.settings.units import Amount, Duration, FilePath, Flag, Secret, Size, Whole, spelled

#: A word as it stands in a message or a metric label.
_NAME = spelled("[a-z0-9][a-z0-9_-]{0,63}", "is no name; 1 to 64 small letters, digits, - and _")
_REQUEST_PATH = spelled(
    "/[A-Za-z0-9/._~-]{0,255}",
    "is no path; / and then at most 255 letters, digits and / . _ ~ -",
)
_COUNTRY = spelled("[A-Z]{2}", "is no country; two capital letters (ISO 3166), such as US")
_CURRENCY = spelled("[A-Z]{3}", "is no currency; three capital letters (ISO 4217), such as USD")

# What stands in a quoted-string for every client (RFC 9110 5.6.4); RFC 7617 knows no charset of the realm.
_REALM = spelled("[ -~]*", "has characters beyond printable ASCII; letters, digits, blanks and signs of ASCII")


class Settings(BaseModel):
    """Base of all blocks: unknown keys are errors, values never appear in error texts, nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True)


# A setting that is either one word or a block: which it is meant to be is seen, so that errors speak of that alone.
_T = TypeVar("_T")
_Word = Annotated[_T, Tag("word")]
_Block = Annotated[_T, Tag("block")]
_WORD_OR_BLOCK = Discriminator(lambda value: "word" if isinstance(value, str) else "block")


# --- gateway.yaml --------------------------------------------------------------------------------


class Listen(Settings):
    """Where partners connect."""

    address: str = Field("127.0.0.1:8080", description="host:port to listen on; [::1]:8080 for IPv6")
    trusted_proxies: tuple[str, ...] = Field((), description="networks (CIDR) whose X-Forwarded-For is believed")

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host (an IPv6 address without its brackets) and port. Raises ValueError when `load` would refuse it."""
        return parse_address(self.address)


class Admin(Settings):
    """Where ops look: /metrics /healthz /readyz."""

    address: str = Field("127.0.0.1:9090", description="host:port of the admin port")
    users: FilePath | None = Field(None, description="htpasswd file for /metrics; needed off loopback")

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host (an IPv6 address without its brackets) and port. Raises ValueError when `load` would refuse it."""
        return parse_address(self.address)


class Limits(Settings):
    """What one host takes from strangers."""

    body: Size = Field(64 * 1024, ge=1, le=16 * 1024 * 1024, description="largest body")
    head: Size = Field(16 * 1024, ge=1024, le=64 * 1024, description="largest request head, request line included")
    fields: Whole = Field(200, ge=1, le=5000, description="fields in one lead")
    header_time: Duration = Field(5.0, gt=0, le=120, description="first byte to end of the head")
    body_time: Duration = Field(10.0, gt=0, le=300, description="end of the head to end of the body")
    idle_time: Duration = Field(15.0, gt=0, le=3600, description="a connection without a request")
    connections: Whole = Field(10_000, ge=1, description="open connections")
    connections_per_address: Whole = Field(1000, ge=1, description="open connections of one client address")
    in_flight: Whole = Field(512, ge=1, description="submissions being worked on at once")


class Drain(Settings):
    """How a stop goes: readiness turns red, `wait`, stop accepting, at most `finish` for what is in flight."""

    wait: Duration = Field(5.0, ge=0, le=300, description="from red readiness to closed listener")
    finish: Duration = Field(15.0, ge=0, le=600, description="time for submissions in flight")


class Metrics(Settings):
    """Bounds of what is counted."""

    partners: Whole = Field(200, ge=0, description="partner label values, by file order; the rest is `other`")


class Log(Settings):
    """What is logged."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is written")


class JournalSettings(Settings):
    """Where each submission is written down before it is sent: docs/journal.md."""

    url: Secret | None = Field(None, description="sqlite (a file below state_dir), or postgresql://…; sqlite if null")
    key: Secret | None = Field(
        None, description="key ring that seals what leads say, a key a line, newest first; made below state_dir if null"
    )
    index_key: Secret | None = Field(
        None, description="key of the hashes by which leads are recognised; made below state_dir if null"
    )
    retain: Duration = Field(
        30 * 86400.0, ge=86400, description="how long bodies and answers of settled leads are kept"
    )
    index: tuple[str, ...] = Field(("email", "phone"), description="fields by which leads can be searched and erased")


class GatewaySettings(Settings):
    """The top file, `gateway.yaml`."""

    listen: Annotated[_Block[Listen] | _Word[str], _WORD_OR_BLOCK] = Field(
        Listen(), description="host:port, or a block of keys"
    )
    admin: Annotated[_Block[Admin] | _Word[str], _WORD_OR_BLOCK] = Field(
        Admin(), description="host:port, or a block of keys"
    )
    limits: Limits = Field(Limits(), description="what one host takes from strangers")
    drain: Drain = Field(Drain(), description="how a stop goes")
    id_key: Secret | None = Field(None, description="key of the hashes that stand for IDs which must not be shown")
    state_dir: FilePath | None = Field(None, description="where data lives; $STATE_DIRECTORY, else var, if null")
    journal: JournalSettings = Field(JournalSettings(), description="where each submission is written down")
    metrics: Metrics = Field(Metrics(), description="bounds of what is counted")
    log: Log = Field(Log(), description="what is logged")
    programs: tuple[str, ...] = Field(min_length=1, description="program files; globs relative to this file")

    @property
    def listening(self) -> Listen:
        """`listen` as a block, however it was written."""
        return self.listen if isinstance(self.listen, Listen) else Listen(address=self.listen)

    @property
    def administration(self) -> Admin:
        """`admin` as a block, however it was written."""
        return self.admin if isinstance(self.admin, Admin) else Admin(address=self.admin)


# --- programs/*.yaml -----------------------------------------------------------------------------


class Auth(Settings):
    """HTTP basic authentication of partners (RFC 7617)."""

    realm: Annotated[str, *_REALM] = Field(
        "leads", min_length=1, max_length=100, description="shown in WWW-Authenticate"
    )
    users: FilePath = Field(description="htpasswd file: argon2id or bcrypt, up to two lines a user")


class FieldSettings(Settings):
    """What every field may say, whatever its type."""

    required: Flag = Field(False, description="whether a lead without it is invalid")
    aliases: tuple[str, ...] = Field((), description="other names this field may arrive under")
    min_length: Whole | None = Field(None, ge=0, description="characters, after trimming")
    max_length: Whole | None = Field(None, ge=1, description="characters, after trimming")
    pattern: str | None = Field(None, max_length=500, description="RE2 pattern that the whole value matches")


class StringField(FieldSettings):
    type: Literal["string"]


class IntegerField(FieldSettings):
    type: Literal["integer"]
    min: Whole | None = Field(None, description="smallest value")
    max: Whole | None = Field(None, description="largest value")


class DecimalField(FieldSettings):
    type: Literal["decimal"]
    min: Amount | None = Field(None, description="smallest value")
    max: Amount | None = Field(None, description="largest value")
    places: Whole | None = Field(None, ge=0, le=20, description="most decimals")


class EmailField(FieldSettings):
    type: Literal["email"]


class PhoneField(FieldSettings):
    type: Literal["phone"]
    region: Annotated[str, *_COUNTRY] = Field("US", description="ISO 3166 country whose national form is understood")


class UsStateField(FieldSettings):
    type: Literal["us_state"]


class PostalCodeField(FieldSettings):
    type: Literal["postal_code"]
    country: Literal["US", "CA", "GB"] = Field("US", description="whose postal codes these are")


class DateField(FieldSettings):
    type: Literal["date"]
    formats: tuple[str, ...] = Field(("%Y-%m-%d",), min_length=1, description="strptime formats, first match wins")
    min_age: Whole | None = Field(None, ge=0, le=150, description="full years on the program's today, at least")
    max_age: Whole | None = Field(None, ge=0, le=150, description="full years on the program's today, at most")


class EnumField(FieldSettings):
    type: Literal["enum"]
    values: tuple[str, ...] = Field(min_length=1, description="the words that are allowed, as sent")


AnyField = Annotated[
    StringField
    | IntegerField
    | DecimalField
    | EmailField
    | PhoneField
    | UsStateField
    | PostalCodeField
    | DateField
    | EnumField,
    Field(discriminator="type"),
]


class DuplicateRule(Settings):
    """One key that no two leads may share while its window lasts."""

    name: Annotated[str, *_NAME] = Field(description="the rule's name, in log and journal")
    key: tuple[str, ...] = Field(min_length=1, description="fields that make the key; without one of them it is void")
    window: Duration = Field(gt=0, le=10 * 366 * 86400, description="how long an accepted lead keeps its key")
    scope: Literal["program", "partner"] = Field("program", description="among whose leads the key is unique")


class Replay(Settings):
    """When a submission that comes again is given the answer that it was given before."""

    window: Duration = Field(600.0, ge=0, le=30 * 86400, description="how long the same lead is recognised; 0s: never")
    fields: Literal["all"] | tuple[str, ...] = Field("all", description="names that make a lead the same")
    ignore: tuple[str, ...] = Field((), description="names that do not count")


class LeadSettings(Settings):
    """What a lead of this program looks like."""

    accept: tuple[Literal["form", "json", "xml"], ...] = Field(
        ("form", "json", "xml"), min_length=1, description="encodings taken from partners"
    )
    unknown_fields: Literal["forward", "drop", "reject"] = Field(
        "forward", description="what becomes of fields that are not configured"
    )
    fields: dict[str, AnyField] = Field(
        default_factory=dict, description="name: {type: …}; order is the order of faults"
    )
    duplicates: tuple[DuplicateRule, ...] = Field((), description="keys that no two leads may share")
    replay: Replay | None = Field(
        None, description="answering a resend as before; 10m of all fields if null, where partners can be told apart"
    )
    unknown_hold: Duration = Field(
        30 * 86400.0, ge=0, le=366 * 86400, description="how long a lead of unknown outcome is not sent again"
    )


class UpstreamAuth(Settings):
    """Basic credentials of the gateway at the legacy endpoint."""

    user: str = Field(min_length=1, description="the gateway's name at the legacy endpoint")
    password: Secret = Field(description='its password: "${file:PATH}" or "${env:NAME}"')


class UpstreamTls(Settings):
    """How the legacy endpoint's certificate is verified."""

    ca: FilePath | None = Field(None, description="PEM file of the authorities to trust instead of the system's")


class Timeouts(Settings):
    """Of one exchange; `total` must fit inside the program's deadline."""

    connect: Duration = Field(2.0, gt=0, description="name lookup, TCP and TLS")
    first_byte: Duration = Field(6.0, gt=0, description="request written to first byte of the answer")
    total: Duration = Field(7.0, gt=0, description="start of connecting to last byte of the answer")


class Circuit(Settings):
    """When a legacy endpoint that fails is left alone."""

    failures: Whole = Field(5, ge=1, le=10_000, description="failures in a row after which no lead is sent")
    open_for: Duration = Field(
        10.0, gt=0, le=3600, description="for how long; then one lead tries, and over as long again more and more go"
    )


class UpstreamSettings(Settings):
    """The legacy endpoint."""

    url: str = Field(description="http:// or https:// address leads are posted to, byte for byte")
    send: Literal["as_received"] = Field("as_received", description="how leads go out: the very bytes")
    auth: UpstreamAuth | None = Field(None, description="basic credentials the legacy endpoint asks for")
    tls: UpstreamTls = Field(UpstreamTls(), description="how its certificate is verified")
    timeouts: Timeouts = Field(Timeouts(), description="of one exchange, by phase")
    keep_alive: Duration = Field(
        0.0, ge=0, le=300, description="how long an idle connection is kept; 0s: one lead each"
    )
    max_in_flight: Whole = Field(32, ge=1, le=10_000, description="leads at the legacy endpoint at once")
    max_answer: Size = Field(1024 * 1024, ge=1024, le=64 * 1024 * 1024, description="largest answer that is read")
    late_answer: Duration = Field(60.0, ge=0, le=3600, description="reading on after outcome_unknown; 0s: not at all")
    circuit: Circuit = Field(Circuit(), description="when a failing endpoint is left alone")


class Money(Settings):
    """How amounts in legacy answers are written."""

    decimal: Literal[".", ","] = Field(".", description="what stands before the decimals")
    currency: Annotated[str, *_CURRENCY] = Field("USD", description="ISO 4217; any other one is unreadable")


class UniqueIdSettings(Settings):
    """The uniqueid member, which becomes the conversion's Order ID."""

    when_missing: Literal["reference", "unknown"] = Field(
        "reference", description="without a legacy ID: our reference stands in, or the outcome is unknown"
    )
    order_id_pattern: str = Field(
        "^[0-9A-Za-z-]{1,64}$", max_length=500, description="RE2; IDs that do not match are mapped"
    )


class SaleAmountSettings(Settings):
    """The sale_amount member."""

    money: Money = Field(Money(), description="how amounts are written")
    when_unreadable: Literal["unknown", "empty"] = Field(
        "unknown", description="an amount that is there and cannot be read: outcome unknown, or no amount"
    )


class CustomerIdSettings(Settings):
    """The customerid member: from the reading (default), from a lead's field, or a keyed hash of one."""

    field: str | None = Field(None, description="the field of the lead to take")
    hash: str | None = Field(None, description="the field of the lead whose keyed hash to take")


class AnswerSettings(Settings):
    """What the partner is answered; DESIGN calls it the answer contract."""

    format: Literal["json", "xml", "negotiate"] = Field("json", description="of the answer; negotiate: as Accept asks")
    status_codes: Literal["platform", "http", "always_200"] = Field(
        "platform", description="which HTTP status goes out with a reason"
    )
    uniqueid: UniqueIdSettings = Field(UniqueIdSettings(), description="the uniqueid member")
    sale_amount: SaleAmountSettings = Field(SaleAmountSettings(), description="the sale_amount member")
    customerid: CustomerIdSettings = Field(CustomerIdSettings(), description="the customerid member")
    email: Literal["plain", "sha256", "sha1", "none"] = Field("plain", description="how the email member is shown")
    email_from: str = Field("email", description="the field of the lead that holds the address")


class Attribution(Settings):
    """What the platform's upload of late conversions needs."""

    click_id: str = Field(description="the field of the lead that holds the platform's click id")


class ProgramSettings(Settings):
    """One program: a path, its rules, its upstream. A file below `programs:`."""

    program: Annotated[str, *_NAME] = Field(description="its name, in logs and metrics")
    path: Annotated[str, *_REQUEST_PATH] = Field(description="the exact path partners post to")
    deadline: Duration = Field(8.0, gt=0, le=120, description="first byte of the request to last byte of the answer")
    timezone: str = Field("UTC", description="IANA name; decides what day today is")
    auth: Annotated[_Block[Auth] | _Word[Literal["none"]], _WORD_OR_BLOCK] = Field(
        description="{realm, users: an htpasswd file}, or none"
    )
    networks: tuple[str, ...] = Field((), description="networks (CIDR) that may connect; empty: all")
    lead: LeadSettings = Field(LeadSettings(), description="what a lead looks like")
    upstream: UpstreamSettings = Field(description="the legacy endpoint")
    answers: Any = Field(description="how legacy answers are read: docs/answers.md")
    answer: AnswerSettings = Field(AnswerSettings(), description="what the partner is answered")
    attribution: Attribution | None = Field(None, description="for `gateway journal export --late`")
