from __future__ import annotations

import datetime
import re
from decimal import Decimal

import email_validator
import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.lead.contacts import compile_phone, read_email
from gateway.lead.dates import age, compile_dates
from gateway.lead.places import US_STATES
from gateway.settings.problems import loose_report

# --- integer -------------------------------------------------------------------------------------

NOT_WHOLE = ("format", "is not a whole number")


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-0", 0), ("42", 42), ("-7", -7), ("007", 7), (" 5 ", 5), ("\t5\r\n", 5), ("9" * 100, int("9" * 100))],
)
def test_an_integer_is_ascii_digits_with_an_optional_minus(judge, text, value):
    assert judge({"type": "integer"}, text).typed == {"it": value}


@pytest.mark.parametrize(
    "text",
    ["1.0", "1.", "1e3", "+1", "--1", "-", "1 000", "1,000", "1_000", "0x10", "NaN", "true", "½", "١٢", "１２", "²",
     "1\xa0", "\u20091", "1\n2", "12abc", "$5", "9" * 101],
)  # fmt: skip
def test_anything_else_is_not_a_whole_number(fault_of, text):
    assert fault_of({"type": "integer"}, text) == NOT_WHOLE


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1000", None),
        ("50000", None),
        ("999", ("range", "is below 1000")),
        ("-5", ("range", "is below 1000")),
        ("50001", ("range", "is above 50000")),
        ("9" * 60, ("range", "is above 50000")),
        ("5k", NOT_WHOLE),
    ],
)
def test_an_integer_lies_within_its_bounds_both_included(fault_of, text, fault):
    assert fault_of({"type": "integer", "min": 1000, "max": 50000}, text) == fault


@pytest.mark.parametrize(("text", "fault"), [("0", None), ("-1", ("range", "is below 0"))])
def test_a_bound_of_zero_is_a_bound(fault_of, text, fault):
    assert fault_of({"type": "integer", "min": 0}, text) == fault
    assert fault_of({"type": "decimal", "min": "0"}, text) == fault


# --- decimal -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"), [("0", "0"), ("12.50", "12.50"), ("-0.5", "-0.5"), ("007.10", "7.10"), (" 3 ", "3")]
)
def test_a_decimal_is_ascii_digits_with_at_most_one_point(judge, text, value):
    typed = judge({"type": "decimal"}, text).typed["it"]
    assert isinstance(typed, Decimal)
    assert str(typed) == value


@pytest.mark.parametrize(
    "text",
    ["NaN", "sNaN", "Infinity", "-Infinity", "inf", "1_000", "1,5", "1.000,50", "1.2.3", ".5", "5.", "1e5", "+1", "-",
     ".", "1 5", "٣.٥", "１.５", "$5", "9" * 101, "0." + "1" * 101],
)  # fmt: skip
def test_anything_else_is_not_a_decimal_number(fault_of, text):
    assert fault_of({"type": "decimal"}, text) == ("format", "is not a decimal number")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("-2.50", None),
        ("10", None),
        ("10.00", None),
        ("-2.51", ("range", "is below -2.50")),
        ("10.01", ("range", "is above 10")),
        ("1.001", ("places", "has more than 2 decimals")),
        ("1.000", ("places", "has more than 2 decimals")),
        ("10.010", ("places", "has more than 2 decimals")),
    ],
)
def test_a_decimal_lies_within_its_bounds_and_has_at_most_its_places(fault_of, text, fault):
    assert fault_of({"type": "decimal", "min": "-2.50", "max": "10", "places": 2}, text) == fault


def test_places_are_told_in_words(fault_of):
    assert fault_of({"type": "decimal", "places": 0}, "1.0") == ("places", "has decimals")
    assert fault_of({"type": "decimal", "places": 0}, "1") is None
    assert fault_of({"type": "decimal", "places": 1}, "1.00") == ("places", "has more than 1 decimal")


# --- string, lengths, patterns -------------------------------------------------------------------


@pytest.mark.parametrize("text", ["x", "日本", "<b>&\"'", "a\tb\nc", "\u202ex"])
def test_a_string_is_any_text(judge, text):
    assert judge({"type": "string"}, f" {text} ").typed == {"it": text}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ab", None),
        ("abcd", None),
        (" ab  ", None),
        ("\U0001f600\U0001f600", None),
        ("a", ("length", "is shorter than 2 characters")),
        (" a ", ("length", "is shorter than 2 characters")),
        ("abcde", ("length", "is longer than 4 characters")),
    ],
)
def test_length_is_counted_in_characters_after_trimming(fault_of, text, fault):
    assert fault_of({"type": "string", "min_length": 2, "max_length": 4}, text) == fault


def test_one_character_is_not_told_as_characters(fault_of):
    assert fault_of({"type": "string", "max_length": 1}, "ab") == ("length", "is longer than 1 character")


MISMATCH = ("pattern", "does not have the expected form")


@pytest.mark.parametrize(
    ("pattern", "text", "fault"),
    [
        pytest.param("[0-9]{5}", "94103", None, id="whole value"),
        pytest.param("[0-9]{5}", "941030", MISMATCH, id="more behind"),
        pytest.param("[0-9]{5}", "x94103", MISMATCH, id="more in front"),
        pytest.param("^[0-9]{5}$", "94103", None, id="anchors change nothing"),
        pytest.param(r"\d+", "١٢", MISMATCH, id="digits are ASCII"),
        pytest.param("a|ab", "ab", None, id="any alternative may be the whole"),
        pytest.param("(?i)yes|no", "YES", None, id="flags"),
        pytest.param("a.b", "a\nb", MISMATCH, id="a point is no line feed"),
        pytest.param("(?m)^a$", "a\nb", MISMATCH, id="lines are not values"),
        pytest.param(".{2}", "日本", None, id="characters, not bytes"),
        pytest.param("(a+)+", "a" * 5000 + "!", MISMATCH, id="no value makes a pattern slow"),
        pytest.param("(.*,){20}P", "a," * 2000, MISMATCH, id="nor does this one"),
        pytest.param("(?:a?){500}a{500}", "a" * 499, MISMATCH, id="a large automaton"),
    ],
)
def test_a_pattern_is_re2_against_the_whole_value(fault_of, pattern, text, fault):
    assert fault_of({"type": "string", "pattern": pattern}, text) == fault


@pytest.mark.parametrize(
    ("settings", "text", "fault"),
    [
        ({"type": "integer", "pattern": "1.*"}, "12", None),
        ({"type": "integer", "pattern": "1.*"}, "22", MISMATCH),
        ({"type": "integer", "pattern": "1.*"}, "x", NOT_WHOLE),
        ({"type": "integer", "pattern": "1.*", "min": 5}, "2", ("range", "is below 5")),
        ({"type": "integer", "max_length": 2, "max": 50}, "100", ("length", "is longer than 2 characters")),
        ({"type": "email", "pattern": r".*@example\.com"}, "a@example.org", MISMATCH),
        ({"type": "string", "min_length": 3, "pattern": "a+"}, "b", ("length", "is shorter than 3 characters")),
        ({"type": "string", "min_length": 3, "pattern": "a+"}, "aab", MISMATCH),
    ],
)
def test_a_field_has_one_fault_the_first_of_length_form_range_pattern(fault_of, settings, text, fault):
    assert fault_of(settings, text) == fault


# --- e-mail --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("jane@example.com", "jane@example.com"),
        ("maria.gonzalez+01@example.com", "maria.gonzalez+01@example.com"),
        ("Jane.Doe@EXAMPLE.Com", "Jane.Doe@example.com"),
        ("o'brien@example.co.uk", "o'brien@example.co.uk"),
        ("a!#$%&'*/=?^`{|}~@example.com", "a!#$%&'*/=?^`{|}~@example.com"),
        ("jane@xn--bcher-kva.example", "jane@bücher.example"),
        ("jane@bücher.example", "jane@bücher.example"),
        ("josé@example.com", "josé@example.com"),
        ("jose\u0301@example.com", "josé@example.com"),
        (" jane@example.com\r\n", "jane@example.com"),
        ("x" * 64 + "@example.com", "x" * 64 + "@example.com"),
    ],
)
def test_an_address_is_taken_in_its_normal_form(judge, text, value):
    assert judge({"type": "email"}, text).typed == {"it": value}


@pytest.mark.parametrize(
    "text",
    ["jane", "jane@", "@example.com", "jane@example", "jane@@example.com", "jane@exa mple.com", "ja ne@example.com",
     "jane@example..com", ".jane@example.com", "jane.@example.com", "ja..ne@example.com", "jane@-example.com",
     "jane@example-.com", "jane@.example.com", "jane@example.com.", "jane@example.c0m1_", "jane@127.0.0.1",
     "jane@[127.0.0.1]", '"jane doe"@example.com', "Jane <jane@example.com>", "<jane@example.com>", "jane@example.com,",
     "jane@example.com;joe@example.com", "mailto:jane@example.com", "jane@localhost", "jane@host.local", "jane@a.test",
     "jane@x.invalid", "jane@y.onion", "jane@1.0.127.in-addr.arpa", "jane@ab--cd.example", "jane@exam_ple.com",
     "jane@example.com\nbcc:x@example.com", "jane@example.com\x0b", "\u202ejane@example.com", "jane＠example.com",
     "x" * 65 + "@example.com", "a@" + "b" * 64 + ".com", "a@" + "b." * 130 + "com",
     "x" * 100_000],
)  # fmt: skip
def test_what_is_no_address_is_told_so(fault_of, text):
    assert fault_of({"type": "email"}, text) == ("format", "is not an e-mail address")


def by_the_library(text: str) -> str | None:
    try:
        return email_validator.validate_email(text, check_deliverability=False, strict=True).normalized
    except email_validator.EmailNotValidError:
        return None


address_pieces = st.lists(
    st.sampled_from(
        ["a", "z9", "info", "A", "é", ".", "-", "--", "_", "+", "@", "xn--", "com", "test", "arpa", "local", "0"]
    )
).map("".join)


@settings(max_examples=1500, deadline=None)
@given(address_pieces | st.tuples(address_pieces, address_pieces).map("@".join) | st.emails() | st.text())
@example("postmaster@example.com")
@example("a@b.co--m")
@example("a@" + "b" * 59 + ".co")
@example("a@" + "b." * 29 + "com")
def test_the_short_way_for_addresses_gives_what_the_library_gives(text):
    assert read_email(text) == by_the_library(text)


# --- phone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "text", "value"),
    [
        ("US", "(415) 555-2671", "+14155552671"),
        ("US", "415-555-2671", "+14155552671"),
        ("US", "415.555.2671", "+14155552671"),
        ("US", "4155552671", "+14155552671"),
        ("US", "1 415 555 2671", "+14155552671"),
        ("US", "+1 (415) 555-2671", "+14155552671"),
        ("US", "+14155552671", "+14155552671"),
        ("US", " 415 555 2671\n", "+14155552671"),
        ("US", "(415)555-2671", "+14155552671"),
        ("US", "415 - 555 - 2671", "+14155552671"),
        ("US", "787 250 1234", "+17872501234"),
        ("US", "671-646-1234", "+16716461234"),
        ("US", "800-555-0199", "+18005550199"),
        ("CA", "(416) 555-0123", "+14165550123"),
        ("CA", "1-604-555-0123", "+16045550123"),
        ("GB", "020 7946 0958", "+442079460958"),
        ("GB", "+44 20 7946 0958", "+442079460958"),
        ("GB", "+44 (0)20 7946 0958", "+442079460958"),
        ("GB", "01481 720014", "+441481720014"),
        ("DE", "030/123456", "+4930123456"),
        ("IT", "02 1234 5678", "+390212345678"),
    ],
)
def test_a_number_of_the_region_is_taken_as_e164(judge, region, text, value):
    assert judge({"type": "phone", "region": region}, text).typed == {"it": value}


@pytest.mark.parametrize(
    ("region", "text"),
    [
        pytest.param("US", "115-555-2671", id="no area code"),
        pytest.param("US", "415555267", id="a digit short"),
        pytest.param("US", "41555526712", id="a digit long"),
        pytest.param("US", "555-2671", id="no area code at all"),
        pytest.param("US", "999 555 2671", id="an area code nobody has"),
        pytest.param("US", "416 555 0123", id="Canada"),
        pytest.param("US", "+1 876 555 0123", id="Jamaica"),
        pytest.param("US", "+44 20 7946 0958", id="United Kingdom"),
        pytest.param("US", "011 44 20 7946 0958", id="United Kingdom, dialled"),
        pytest.param("CA", "415 555 2671", id="the US for Canada"),
        pytest.param("US", "1-800-FLOWERS", id="vanity"),
        pytest.param("US", "415-555-2671 x123", id="extension"),
        pytest.param("US", "415-555-2671 ext. 5", id="extension spelt out"),
        pytest.param("US", "415-555-2671;ext=5", id="extension of a URI"),
        pytest.param("US", "tel:+14155552671", id="URI"),
        pytest.param("US", "４１５ ５５５ ２６７１", id="full-width digits"),
        pytest.param("US", "٤١٥٥٥٥٢٦٧١", id="Arabic digits"),
        pytest.param("US", "++14155552671", id="two plus signs"),
        pytest.param("US", "415+5552671", id="plus sign inside"),
        pytest.param("US", "415\u2011555\u20112671", id="typographic hyphens"),
        pytest.param("US", "415\xa0555\xa02671", id="no-break spaces"),
        pytest.param("US", "\u202a4155552671\u202c", id="invisible marks"),
        pytest.param("US", "415\n555\n2671", id="line feeds"),
        pytest.param("US", "4155552671 or 4155552672", id="two numbers"),
        pytest.param("US", "000-000-0000", id="zeros"),
        pytest.param("US", "123", id="short code"),
        pytest.param("US", "911", id="emergency"),
        pytest.param("US", "-", id="a hyphen"),
        pytest.param("US", "+", id="a plus sign"),
        pytest.param("US", "+999 1234567", id="no country"),
        pytest.param("US", "4155552671" * 4, id="digits without end"),
    ],
)
def test_what_is_no_number_of_the_region_is_told_so(fault_of, region, text):
    assert fault_of({"type": "phone", "region": region}, text) == ("format", f"is not a {region} number")


phone_pieces = st.lists(
    st.sampled_from(["1", "+1", "+", "(", ")", " ", "-", ".", "2", "5", "415", "(415)", "555", "2671", "787", "416"]),
    max_size=8,
).map("".join)  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(
    phone_pieces
    | st.from_regex(
        r"(\+?1[ .-]?)?\(?[2-9][0-9]{2}\)?[ .-]?[2-9][0-9]{2}[ .-]?[0-9]{4}",
        fullmatch=True,
        alphabet=st.characters(codec="ascii"),
    ),
    st.sampled_from(["US", "CA", "PR"]),
)
def test_the_short_way_for_numbers_gives_what_the_library_gives(text, region):
    found = compile_phone(region)(text)
    belonging = {"US": ("US", "PR", "GU", "VI", "AS", "MP")}.get(region, (region,))
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        assert found is None
        return
    if found is not None:
        assert found == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        assert any(phonenumbers.is_valid_number_for_region(number, one) for one in belonging)
    elif re.fullmatch(r"\+?[0-9(][0-9() ./-]{2,38}", text):
        assert not any(phonenumbers.is_valid_number_for_region(number, one) for one in belonging)


@settings(max_examples=300, deadline=None)
@given(st.text(), st.sampled_from(["US", "GB", "JP"]))
def test_reading_a_number_is_total(text, region):
    found = compile_phone(region)(text)
    assert found is None or re.fullmatch(r"\+[0-9]{4,15}", found)


# --- states and postal codes ---------------------------------------------------------------------


def test_there_are_50_states_the_district_5_territories_and_3_military_ones():
    assert len(set(US_STATES.values())) == 59
    assert len(US_STATES) == 59 * 4


@pytest.mark.parametrize(
    ("text", "value"), [("CA", "CA"), ("ca", "CA"), ("nY", "NY"), (" dc ", "DC"), ("PR", "PR"), ("AE", "AE")]
)
def test_a_state_is_two_letters_in_any_case(judge, text, value):
    assert judge({"type": "us_state"}, text).typed == {"it": value}


@pytest.mark.parametrize(
    "text", ["ZZ", "California", "C", "CAL", "C A", "C.A.", "ON", "UM", "\ufb02", "ＣＡ", "Ca\u0301", "12"]
)
def test_what_is_no_state_is_told_so(fault_of, text):
    assert fault_of({"type": "us_state"}, text) == ("format", "is not a two-letter US state")


@pytest.mark.parametrize(
    ("country", "text", "value"),
    [
        ("US", "94103", "94103"),
        ("US", "00501", "00501"),
        ("US", "94103-1234", "94103-1234"),
        ("CA", "K1A 0B1", "K1A 0B1"),
        ("CA", "k1a0b1", "K1A 0B1"),
        ("CA", "K1A-0B1", "K1A 0B1"),
        ("GB", "SW1A 1AA", "SW1A 1AA"),
        ("GB", "sw1a1aa", "SW1A 1AA"),
        ("GB", "M1 1AE", "M1 1AE"),
        ("GB", "B33 8TH", "B33 8TH"),
        ("GB", "CR2 6XH", "CR2 6XH"),
        ("GB", "DN55 1PT", "DN55 1PT"),
        ("GB", "W1A 0AX", "W1A 0AX"),
        ("GB", "EC1A 1BB", "EC1A 1BB"),
        ("GB", "GIR 0AA", "GIR 0AA"),
    ],
)
def test_a_postal_code_is_taken_in_its_normal_form(judge, country, text, value):
    assert judge({"type": "postal_code", "country": country}, text).typed == {"it": value}


@pytest.mark.parametrize(
    ("country", "text", "words"),
    [(country, text, words)
     for country, words, texts in [
         ("US", "is not a US ZIP code",
          ["9410", "941030", "94103a", "94103-", "94103-123", "94103 1234", "941031234", "٩٤١٠٣", "９４１０３"]),
         ("CA", "is not a Canadian postal code",
          ["K1A 0B", "D1A 0B1", "W1A 0B1", "K1A  0B1", "K1A 0O1", "1K1 A0B", "94103", "\u212a1A 0B1", "K1A\n0B1"]),
         ("GB", "is not a UK postcode",
          ["SW1A", "SW1A 1A", "SW1A 1AAA", "QW1A 1AA", "SW1A 1CA", "1AA SW1", "SW1A  1AA", "\u017fW1A 1AA", "AI1 1AA"]),
     ]
     for text in texts],
)  # fmt: skip
def test_what_is_no_postal_code_is_told_so(fault_of, country, text, words):
    assert fault_of({"type": "postal_code", "country": country}, text) == ("format", words)


def test_a_postal_code_is_american_unless_said_otherwise(fault_of):
    assert fault_of({"type": "postal_code"}, "94103") is None


# --- dates ---------------------------------------------------------------------------------------

NO_DATE = ("format", "is not a date in the expected form")
BOTH = ["%Y-%m-%d", "%m/%d/%Y"]


@pytest.mark.parametrize(
    ("formats", "text", "value"),
    [
        (BOTH, "1985-07-14", (1985, 7, 14)),
        (BOTH, "07/14/1985", (1985, 7, 14)),
        (BOTH, "2024-02-29", (2024, 2, 29)),
        (BOTH, "0001-01-01", (1, 1, 1)),
        (["%Y%m%d"], "19850714", (1985, 7, 14)),
        (["%d.%m.%Y"], "14.07.1985", (1985, 7, 14)),
        (["%m/%d/%Y", "%d/%m/%Y"], "03/04/1980", (1980, 3, 4)),
        (["%m/%d/%Y", "%d/%m/%Y"], "13/04/1980", (1980, 4, 13)),
        (["%Y%%%m (%d)"], "1985%07 (14)", (1985, 7, 14)),
    ],
)
def test_the_first_format_that_gives_a_day_wins(formats, text, value):
    assert compile_dates(formats, loose_report())(text) == datetime.date(*value)


@pytest.mark.parametrize(
    "text",
    ["1985-7-14", "85-07-14", "1985-07-14T00:00:00", "1985/07/14", "14/07/1985", "1985-02-30", "1985-13-01",
     "1985-00-10", "1985-01-00", "0000-01-01", "2023-02-29", "19850714", "1985-W05-1", "07-14-1985", "7/14/1985",
     "+985-07-14", "١٩٨٥-٠٧-١٤", "１９８５-07-14", "1985 -07-14", "1985-07-14\n1", "today", "13", "1985"],
)  # fmt: skip
def test_what_is_no_date_by_the_letter_is_told_so(fault_of, text):
    assert fault_of({"type": "date", "formats": BOTH}, text) == NO_DATE
    assert fault_of({"type": "date", "formats": BOTH, "min_age": 18}, text) == NO_DATE


def test_a_date_is_typed(judge):
    assert judge({"type": "date"}, " 1985-07-14 ").typed == {"it": datetime.date(1985, 7, 14)}
    assert judge({"type": "date", "max_age": 99}, "1985-07-14").typed == {"it": datetime.date(1985, 7, 14)}


@pytest.mark.parametrize(
    ("born", "today", "fault"),
    [
        pytest.param("2008-11-24", "2026-11-24", None, id="18th birthday"),
        pytest.param("2008-11-25", "2026-11-24", ("age", "is under 18 years of age"), id="the day before"),
        pytest.param("2008-02-29", "2026-02-28", ("age", "is under 18 years of age"), id="leap day, 28 February"),
        pytest.param("2008-02-29", "2026-03-01", None, id="leap day, 1 March"),
        pytest.param("2008-02-29", "2028-02-29", None, id="leap day, leap day"),
        pytest.param("1951-11-24", "2026-11-24", None, id="75th birthday"),
        pytest.param("1950-11-25", "2026-11-24", None, id="last day of being 75"),
        pytest.param("1950-11-24", "2026-11-24", ("age", "is over 75 years of age"), id="76th birthday"),
        pytest.param("2026-11-25", "2026-11-24", ("age", "is in the future"), id="tomorrow"),
        pytest.param("9999-12-31", "2026-11-24", ("age", "is in the future"), id="never"),
    ],
)
def test_age_is_counted_in_full_years_on_the_day(fault_of, born, today, fault):
    settings = {"type": "date", "min_age": 18, "max_age": 75}
    assert fault_of(settings, born, datetime.date.fromisoformat(today)) == fault


def test_the_least_age_of_zero_refuses_the_unborn_and_one_year_is_no_plural(fault_of):
    assert fault_of({"type": "date", "min_age": 0}, "2026-11-24") is None
    assert fault_of({"type": "date", "min_age": 0}, "2026-11-25") == ("age", "is in the future")
    assert fault_of({"type": "date", "min_age": 1}, "2026-11-24") == ("age", "is under 1 year of age")


@given(st.dates(), st.dates())
def test_one_is_never_older_than_the_years_apart_and_ages_once_a_year(born, today):
    years = age(born, today)
    assert today.year - born.year - years in (0, 1)
    if today < datetime.date(9998, 1, 1) and (today.month, today.day) != (2, 29):
        assert age(born, today.replace(year=today.year + 1)) == years + 1


# --- enum ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fault"),
    [(text, None) for text in ("own", "rent", " rent ", "живу")]
    + [(text, ("enum", "is not one of the allowed values")) for text in ("Own", "owner", "ow", "own,rent", "own rent")],
)
def test_an_enum_takes_its_words_to_the_letter(fault_of, text, fault):
    assert fault_of({"type": "enum", "values": ["own", "rent", "живу"]}, text) == fault
