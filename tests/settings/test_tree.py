"""YAML to data with places: what a scalar means, where everything stands, what is expanded."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.problems import Problem
from gateway.settings.tree import MAX_BYTES, MAX_DEPTH, MAX_NODES, Tree, read
from gateway.settings.units import Expanded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.yaml"


def tree_of(file: Path, text: str | bytes, *, verbatim: str | None = None) -> tuple[Tree, list[Problem]]:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    problems: list[Problem] = []
    return read(file, problems, verbatim=verbatim), problems


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("1:30", "1:30"),
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31 10:00:00", "2026-01-31 10:00:00"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        (".inf", ".inf"),
        ("=", "="),
        ("8s", "8s"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-17", -17),
        ("+17", 17),
        ("0.10", Decimal("0.10")),
        ("-.5", Decimal("-.5")),
        ("1e3", Decimal("1e3")),
        ('"017"', "017"),
        ("'true'", "true"),
        ('""', ""),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(file: Path, text: str, value: object) -> None:
    tree, problems = tree_of(file, f"key: {text}\n")
    assert problems == []
    assert tree.data == {"key": value}
    assert type((tree.data or {})["key"]) is type(value)


@pytest.mark.parametrize("text", ["01", "-007", "00", "01.5", "+0123"])
def test_a_number_with_a_leading_zero_is_an_error_that_says_quote_it(file: Path, text: str) -> None:
    tree, problems = tree_of(file, f"zip: {text}\n")
    assert [str(one) for one in problems] == [
        f"{file}:1:6: zip: is a number with a leading zero; quote it, or take the zero away"
    ]
    assert ("zip",) in tree.broken


def test_below_a_verbatim_key_every_scalar_is_text_as_written(file: Path) -> None:
    text = "other: true\nanswers:\n  - {a: true, b: 01, c: 1.0, d: , e: null, f: '', 404: 0x10, no: ~, g: \"${x\"}\n"
    tree, problems = tree_of(file, text, verbatim="answers")
    assert problems == []
    assert tree.data == {
        "other": True,
        "answers": [
            {"a": "true", "b": "01", "c": "1.0", "d": None, "e": "null", "f": "", "404": "0x10", "no": "~", "g": "${x"}
        ],
    }


def test_only_the_top_level_key_is_verbatim(file: Path) -> None:
    tree, _ = tree_of(file, "a: {answers: {b: true}}\n", verbatim="answers")
    assert tree.data == {"a": {"answers": {"b": True}}}


def test_everything_knows_its_place(file: Path) -> None:
    tree, problems = tree_of(file, "# a comment\na: {b: [1, ü, {c: d}]}\ne:\n  - f\n")
    assert problems == []

    def at(*path: str | int, key: bool = False) -> tuple[int, int]:
        place = tree.locate(path, key)
        assert place.file == file
        return place.line, place.column

    assert at("a", key=True) == (2, 1)
    assert at("a") == (2, 4)
    assert at("a", "b", 1) == (2, 12)
    assert at("a", "b", 2, "c", key=True) == (2, 16)
    assert at("a", "b", 2, "c") == (2, 19)
    assert at("e", 0) == (4, 5)
    assert at("a", "b", 2, "missing", "deeper") == (2, 15)  # the nearest ancestor answers
    assert at("a", "missing", key=True) == (2, 1)
    assert at("missing") == (2, 1)


def test_the_first_of_two_same_keys_stands_and_the_second_is_told(file: Path) -> None:
    tree, problems = tree_of(file, "a: 1\nb: 2\na: {c: 3}\n")
    assert tree.data == {"a": 1, "b": 2}
    assert [str(one) for one in problems] == [f"{file}:3:1: a: same key as in line 1; keep one of them"]


def test_what_stands_before_a_syntax_error_is_told_too(file: Path) -> None:
    tree, problems = tree_of(file, "a: 01\na: *b\nc: {d: e[0]}\n")
    assert tree.data is None
    assert [(one.place.line, one.place.column) for one in problems] == [(1, 4), (2, 4), (2, 1), (3, 9)]


# --- references ----------------------------------------------------------------------------------


def test_references_are_expanded_and_marked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "1")
    monkeypatch.setenv("NESTED", "${env:ONE}")
    (file.parent / "keys").mkdir()
    (file.parent / "keys" / "key").write_text("s3cret: [x\n")
    text = 'a: ${env:ONE}\nb: "x${env:ONE}y${file:keys/key}z"\nc: "$${env:ONE}"\nd: "${env:NESTED}"\ne: "$ {x} $x"\n'
    tree, problems = tree_of(file, text)
    assert problems == []
    data = tree.data or {}
    assert data == {"a": "1", "b": "x1ys3cret: [xz", "c": "${env:ONE}", "d": "${env:ONE}", "e": "$ {x} $x"}
    assert [key for key, value in data.items() if isinstance(value, Expanded)] == ["a", "b", "d"]
    assert "s3cret" not in repr(data)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"key", "key"),
        (b"key\n", "key"),
        (b"key\n\n", "key\n"),
        (b"key\r\n", "key"),
        (b" key ", " key "),
        (b"\xef\xbb\xbfkey", "key"),
    ],
)
def test_one_line_end_at_the_end_of_a_secret_is_dropped(file: Path, content: bytes, value: str) -> None:
    (file.parent / "key").write_bytes(content)
    tree, problems = tree_of(file, 'a: "${file:key}"\n')
    assert problems == []
    assert tree.data == {"a": value}


@pytest.mark.parametrize(
    ("reference", "wrong"),
    [
        ("${env:UNSET_VARIABLE}", "the environment variable UNSET_VARIABLE is not set"),
        ("${env:}", "${env:} names no variable"),
        ("${file:}", "${file:} names no file"),
        ("${file:missing}", "the file missing does not exist"),
        ("${file:.}", "the file . is no regular file"),
        ("${file:binary}", "the file binary is not UTF-8"),
        ("${file:huge}", "the file huge is larger than 64 KiB"),
        ("${file:newline}", "the file newline is empty"),
        ("${file:file.yaml/x}", "the file file.yaml/x cannot be read (Not a directory)"),
        ("${file:a\\0b}", 'the file "a\\u0000b" is no file name'),
        ("${x}", "${ begins no reference"),
        ("${env:UNSET_VARIABLE", "${ begins no reference"),
    ],
)
def test_a_reference_without_a_value_is_an_error_that_names_it(file: Path, reference: str, wrong: str) -> None:
    (file.parent / "binary").write_bytes(b"canary\xff")
    (file.parent / "huge").write_bytes(b"canary" * 20_000)
    (file.parent / "newline").write_bytes(b"\n")
    tree, problems = tree_of(file, f'a: "{reference}"\n')
    assert [one.wrong for one in problems] == [wrong]
    assert tree.data == {"a": None}
    assert ("a",) in tree.broken
    assert "canary" not in str(problems[0])


def test_references_are_relative_to_the_file_they_stand_in(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("here")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    tree, _ = tree_of(file, f'a: "${{file:key}}"\nb: "${{file:{tmp_path}/key}}"\n')
    assert tree.data == {"a": "here", "b": "here"}


def test_a_reference_in_a_verbatim_block_is_left_as_it_is_with_a_warning(file: Path) -> None:
    tree, problems = tree_of(file, 'answers: {note: "${env:HOME}"}\n', verbatim="answers")
    assert tree.data == {"answers": {"note": "${env:HOME}"}}
    assert [(one.key, one.warning) for one in problems] == [("answers.note", True)]


# --- files that are none -------------------------------------------------------------------------


def test_a_file_that_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    for name, wrong in (
        ("missing.yaml", "does not exist"),
        (".", "is no regular file"),
        ("x" * 300, "cannot be read (File name too long)"),
        ("a\0b", "is no file name"),
    ):
        problems: list[Problem] = []
        assert read(tmp_path / name, problems).data is None
        assert [one.wrong for one in problems] == [wrong]


def test_a_huge_file_is_refused_before_it_is_read_whole(file: Path) -> None:
    _, problems = tree_of(file, b"#" * (MAX_BYTES + 1))
    assert [one.wrong for one in problems] == ["is larger than 1024 KiB"]


def test_a_file_of_too_many_values_is_refused(file: Path) -> None:
    tree, problems = tree_of(file, "- a\n" * MAX_NODES)
    assert tree.data is None
    assert [one.wrong for one in problems] == [f"the file has more than {MAX_NODES} values"]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "[{a: "])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 2, 900, 100_000])
def test_any_depth_is_refused_without_a_recursion_error(file: Path, opening: str, depth: int) -> None:
    tree, problems = tree_of(file, opening * depth)
    assert tree.data is None
    assert [one.wrong.startswith("is nested") for one in problems] == [True]


def test_the_allowed_depth_is_read(file: Path) -> None:
    tree, problems = tree_of(file, "a: " + "[" * (MAX_DEPTH - 1) + "b" + "]" * (MAX_DEPTH - 1))
    assert problems == []
    assert tree.data is not None


def test_a_byte_order_mark_moves_no_column(file: Path) -> None:
    tree, problems = tree_of(file, b"\xef\xbb\xbfa: 01\n")
    assert tree.data == {"a": None}
    assert (problems[0].place.line, problems[0].place.column) == (1, 4)


@given(st.binary(max_size=200))
def test_any_bytes_are_data_or_problems_never_an_exception(raw: bytes) -> None:
    _read_generated(raw)


@given(st.lists(st.sampled_from(list("abé01.\t\n\r -:{}[],#&*!|>'\"%@`$?~<\\\x85\u2028\ufeff")), max_size=60))
def test_any_yaml_characters_are_data_or_problems_never_an_exception(characters: list[str]) -> None:
    _read_generated("".join(characters).encode())


def _read_generated(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file.yaml"
        file.write_bytes(raw)
        problems: list[Problem] = []
        tree = read(file, problems, verbatim="a")
    assert (tree.data is not None) or problems
    for one in problems:
        assert one.place.line >= 1
        assert one.place.column >= 1
        assert str(one).isprintable()
