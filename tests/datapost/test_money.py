"""Amounts of legacy answers: read exactly, or not at all."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.datapost.money import compile_money
from gateway.settings.models import Money

NBSP, THIN, NARROW = "\u00a0", "\u2009", "\u202f"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("10.00", "10.00"),
        ("10", "10.00"),
        ("10.5", "10.50"),
        ("0", "0.00"),
        ("0.00", "0.00"),
        (".5", "0.50"),
        ("10.500", "10.50"),
        ("10.0000000000", "10.00"),
        ("1,234.56", "1234.56"),
        ("1,234", "1234.00"),
        ("123,456.7", "123456.70"),
        ("1 234.50", "1234.50"),
        (f"1{NBSP}234.50", "1234.50"),
        (f"1{THIN}234.50", "1234.50"),
        (f"1{NARROW}234.50", "1234.50"),
        ("1'234.50", "1234.50"),
        ("1’234.50", "1234.50"),
        ("999999.99", "999999.99"),
        ("999,999.99", "999999.99"),
        ("$10", "10.00"),
        ("$ 10.00", "10.00"),
        ("US$10.00", "10.00"),
        ("USD 10.00", "10.00"),
        ("usd10", "10.00"),
        ("10.00 USD", "10.00"),
        ("10.00$", "10.00"),
        ("$10.00 USD", "10.00"),
        ("$.50", "0.50"),
        ("  10.00\n", "10.00"),
    ],
)
def test_an_amount_in_dollars_is_read_exactly(written: str, read: str) -> None:
    assert compile_money(Money())(written) == read


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="nothing"),
        pytest.param(" ", id="blank"),
        pytest.param("$", id="sign alone"),
        pytest.param(".", id="decimal sign alone"),
        pytest.param("free", id="word"),
        pytest.param("-10.00", id="negative"),
        pytest.param("\u221210.00", id="negative with a minus sign"),
        pytest.param("10.00-", id="negative behind"),
        pytest.param("(10.00)", id="negative as bookkeepers write it"),
        pytest.param("-0.00", id="negative zero"),
        pytest.param("+10.00", id="plus"),
        pytest.param("10.005", id="three decimals"),
        pytest.param("0.001", id="a tenth of a cent"),
        pytest.param("1.234", id="thousands by a point, or three decimals"),
        pytest.param("10,50", id="decimals by a comma"),
        pytest.param("1,23", id="group of two"),
        pytest.param("1,2345", id="group of four"),
        pytest.param("1234,567", id="first group of four"),
        pytest.param("0,123", id="group behind zero"),
        pytest.param("1,234,56", id="second group of two"),
        pytest.param("1,234 567", id="two kinds of groups"),
        pytest.param("1.234,56", id="the other convention"),
        pytest.param("1.234.567", id="two decimal signs"),
        pytest.param("1,,234", id="two marks"),
        pytest.param("1 , 234", id="blanks within"),
        pytest.param("10.", id="cut off behind the decimal sign"),
        pytest.param("10. 50", id="blank behind the decimal sign"),
        pytest.param("0010.00", id="leading zeros"),
        pytest.param("00", id="zeros"),
        pytest.param("1e3", id="exponent"),
        pytest.param("0x10", id="hexadecimal"),
        pytest.param("NaN", id="not a number"),
        pytest.param("Infinity", id="infinite"),
        pytest.param("1000000", id="a million"),
        pytest.param("1,000,000.00", id="a million, grouped"),
        pytest.param("9" * 100, id="very long"),
        pytest.param("\u0661\u0660", id="Arabic digits"),
        pytest.param("\uff11\uff10", id="wide digits"),
        pytest.param("10\u00b2", id="superscript"),
        pytest.param("€10.00", id="another sign"),
        pytest.param("10.00 EUR", id="another code"),
        pytest.param("CA$10.00", id="another dollar"),
        pytest.param("10.00 USD EUR", id="two currencies"),
        pytest.param("USD EUR 10", id="two currencies before"),
        pytest.param("10.00 per lead", id="words behind"),
        pytest.param("10 20", id="two numbers"),
        pytest.param("10.00 10.00", id="two amounts"),
        pytest.param("10-20", id="range"),
        pytest.param("10%", id="percent"),
        pytest.param("1\x00", id="NUL"),
        pytest.param("1\ud800", id="half a surrogate pair"),
        pytest.param("10.00\n20.00", id="two lines"),
    ],
)
def test_what_is_no_plain_amount_in_dollars_is_unreadable(written: str) -> None:
    assert compile_money(Money())(written) is None


@pytest.mark.parametrize(
    ("decimal", "currency", "written", "read"),
    [
        (",", "EUR", "10,50", "10.50"),
        (",", "EUR", "1.234,56 €", "1234.56"),
        (",", "EUR", "1.234", "1234.00"),
        (",", "EUR", "1 234,5 EUR", "1234.50"),
        (",", "EUR", "€ 10", "10.00"),
        (",", "EUR", "10.50", None),
        (",", "EUR", "1,234.56", None),
        (",", "EUR", "10,505", None),
        (",", "EUR", "$10", None),
        (".", "GBP", "£10.00", "10.00"),
        (".", "CAD", "C$10.00", "10.00"),
        (".", "CAD", "$10.00", "10.00"),
        (".", "CAD", "US$10.00", None),
        (".", "CHF", "CHF 1'234.50", "1234.50"),
        (".", "CHF", "Fr. 10", "10.00"),
        (".", "JPY", "¥1,000", "1000.00"),
        (",", "SEK", "10,00 kr", "10.00"),
        (",", "PLN", "10,00 zł", "10.00"),
        (".", "XAU", "10 XAU", "10.00"),
        (".", "XAU", "$10", None),
    ],
)
def test_the_program_says_which_decimal_sign_and_currency_are_meant(
    decimal: str, currency: str, written: str, read: str | None
) -> None:
    assert compile_money(Money.model_validate({"decimal": decimal, "currency": currency}))(written) == read


@given(st.integers(0, 99_999_999), st.sampled_from(["", ",", " ", "'"]), st.sampled_from(["", "$", "USD "]))
def test_every_amount_up_to_the_largest_is_read_back_to_the_cent(cents: int, mark: str, sign: str) -> None:
    whole = f"{cents // 100:,}".replace(",", mark)
    read = compile_money(Money())(f"{sign}{whole}.{cents % 100:02}")
    assert read is not None
    assert Decimal(read) == Decimal(cents) / 100


@given(st.text(st.one_of(st.sampled_from("0123456789.,$ -'€"), st.characters(exclude_categories=())), max_size=80))
def test_whatever_is_written_gives_two_places_or_nothing(written: str) -> None:
    read = compile_money(Money())(written)
    assert read is None or re.fullmatch(r"(0|[1-9][0-9]{0,5})\.[0-9]{2}", read)
