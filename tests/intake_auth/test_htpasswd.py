"""htpasswd files: who is in them, what is wrong with them, and that all sign-ins cost the same."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import bcrypt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.intake.htpasswd import Users, compile_users
from gateway.intake.passwords import parse_hash
from gateway.settings.problems import Problem, loose_report
from tests.intake_auth.conftest import MakeUsers, quick_hash

ONE, TWO = quick_hash("one"), quick_hash("two")
OTHER = quick_hash("other", passes=2)
BCRYPT = bcrypt.hashpw(b"one", bcrypt.gensalt(10)).decode()


def load(path: Path, data: bytes | str, mode: int = 0o600) -> tuple[Users, list[Problem]]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    path.chmod(mode)
    report = loose_report()
    return compile_users(path, report), report.problems


def test_users_stand_in_file_order_and_comments_are_skipped(users: MakeUsers) -> None:
    found = users(
        "# partners", f"zeta:{ONE}", "", f"acme:{TWO}", f"  # not a comment: a name:{ONE}".strip(), f"mid:{ONE}"
    )
    assert found.names == ("zeta", "acme", "mid")


def test_a_user_may_have_a_present_and_a_next_secret(users: MakeUsers) -> None:
    found = users(f"acme:{ONE}", f"beta:{ONE}", f"acme:{TWO}")
    assert found.names == ("acme", "beta")
    assert [(stored.text, line) for stored, line in zip(*parts(found, "acme"), strict=True)] == [(ONE, 1), (TWO, 2)]


def parts(users: Users, name: str) -> tuple[tuple[object, ...], tuple[int, ...]]:
    found = users.sign_in(name)
    return found.hashes, found.lines


def test_names_are_compared_in_one_form(users: MakeUsers) -> None:
    found = users(f"Zoe\u0308:{ONE}", f"Zo\u00eb:{TWO}")
    assert found.names == ("Zoë",)
    assert found.sign_in("Zoë").lines == (1, 2)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([f"a:{ONE}", f"b:{TWO}"], id="one kind, a line each"),
        pytest.param([f"a:{ONE}", f"a:{TWO}", f"b:{ONE}"], id="one of two users has two lines"),
        pytest.param([f"a:{ONE}", f"b:{BCRYPT}"], id="two kinds"),
        pytest.param([f"a:{BCRYPT}", f"a:{ONE}", f"b:{ONE}", f"b:{TWO}", f"c:{OTHER}"], id="three kinds, mixed"),
    ],
)
def test_every_sign_in_of_a_file_costs_the_same_known_or_not(users: MakeUsers, lines: list[str]) -> None:
    found = users(*lines)
    names = [*found.names, "nobody", ""]
    costs = [tuple(stored.cost for stored in found.sign_in(name).hashes) for name in names]
    assert len(set(costs)) == 1
    for name in found.names:
        own = [line.partition(":")[2] for line in lines if line.startswith(f"{name}:")]
        hashes, numbers = parts(found, name)
        assert {number: stored.text for stored, number in zip(hashes, numbers, strict=True) if number} == dict(
            enumerate(own, 1)
        )  # type: ignore[attr-defined]
    assert set(found.sign_in("nobody").lines) == {0}


def test_nobody_has_a_decoy_for_a_secret(users: MakeUsers) -> None:
    found = users(f"a:{ONE}", f"a:{TWO}", f"b:{ONE}")
    assert [stored.matches(b"one") for stored in found.sign_in("nobody").hashes] == [False, False]
    assert [(stored.matches(b"one"), line) for stored, line in zip(*parts(found, "b"), strict=True)] == [
        (True, 1),
        (False, 0),
    ]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("data", "line", "column", "wrong"),
    [
        pytest.param(f"acme:{ONE}\nbeta", 2, 1, "is no line of an htpasswd file", id="no colon"),
        pytest.param(f":{ONE}", 1, 1, "the user name is empty", id="no name"),
        pytest.param(f"acme :{ONE}", 1, 1, "the user name begins or ends with a space", id="space behind the name"),
        pytest.param(f" acme:{ONE}", 1, 1, "the user name begins or ends with a space", id="space before the name"),
        pytest.param(f"ac\x1fme:{ONE}", 1, 1, "the user name has control characters", id="control character"),
        pytest.param(f"ac\u2028me\x85:{ONE}", 1, 1, "the user name has control characters", id="other line ends"),
        pytest.param(f"{'a' * 257}:{ONE}", 1, 1, "the user name is longer than 256 bytes", id="long name"),
        pytest.param(
            "acme:letmein",
            1,
            6,
            "the hash of user acme is no hash that is known here (plain text, or crypt)",
            id="plain",
        ),
        pytest.param(
            "x\n\nacme:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", 3, 6, "the hash of user acme is unsalted SHA-1", id="SHA"
        ),
        pytest.param(
            f"acme:{ONE}:rest",
            1,
            6,
            "the hash of user acme is a damaged argon2id hash, or of another version than 19",
            id="more fields",
        ),
        pytest.param(f"a:{ONE}\na:{TWO}\nb:{ONE}\na:{OTHER}", 4, 1, "user a has more than 2 lines", id="third line"),
        pytest.param(f"acme:{ONE}\n".encode() + b"\xff:x", 2, 1, "is not UTF-8", id="not UTF-8"),
    ],
)
def test_an_error_names_file_line_and_column(
    tmp_path: Path, data: bytes | str, line: int, column: int, wrong: str
) -> None:
    path = tmp_path / "partners.htpasswd"
    _, problems = load(path, data)
    [found] = [one for one in problems if one.wrong == wrong]
    assert (found.place.file, found.place.line, found.place.column) == (path, line, column)
    assert not found.warning


def test_an_error_in_a_hash_says_what_is_allowed(tmp_path: Path) -> None:
    _, [found] = load(tmp_path / "f", "acme:$apr1$x$y")
    assert found.allowed == "argon2id, or bcrypt ($2a$, $2b$, $2y$) with cost 10 to 14; gateway hash-password makes one"


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    _, problems = load(tmp_path / "f", "a:plain\nb\n:x\nc:{SHA}x\n")
    assert [problem.place.line for problem in problems] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "secret", ["letmein-kanarienvogel", "{SHA}kanarienvogel", "$2y$10$kanarienvogel", "$argon2id$kanarienvogel"]
)
def test_no_report_quotes_what_stands_in_place_of_a_hash(tmp_path: Path, secret: str) -> None:
    _, problems = load(tmp_path / "f", f"acme:{secret}\n")
    assert problems
    assert "kanarienvogel" not in "".join(map(str, problems))


@pytest.mark.parametrize("end", ["\n", "\r\n", ""], ids=["LF", "CRLF", "none"])
def test_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path, end: str) -> None:
    found, problems = load(tmp_path / "f", b"\xef\xbb\xbf" + f"a:{BCRYPT}{end or chr(10)}b:{BCRYPT} \t{end}".encode())
    assert found.names == ("a", "b")
    assert problems == []


@pytest.mark.parametrize(
    ("mode", "told"),
    [(0o600, ""), (0o640, ""), (0o400, ""), (0o644, "read"), (0o602, "written"), (0o666, "written")],
    ids=lambda value: oct(value) if isinstance(value, int) else value or "nothing",
)
def test_a_file_that_everybody_can_read_is_a_warning_and_one_that_everybody_can_write_an_error(
    tmp_path: Path, mode: int, told: str
) -> None:
    path = tmp_path / "partners.htpasswd"
    _, problems = load(path, f"a:{BCRYPT}\n", mode)
    assert [(problem.wrong, problem.allowed, problem.warning) for problem in problems] == (
        [(f"{path} can be {told} by everybody", f"chmod 640 {path}, or 600", told == "read")] if told else []
    )


def test_a_file_that_is_not_there_is_an_error_of_the_setting(tmp_path: Path) -> None:
    report = loose_report()
    assert compile_users(tmp_path / "none", report.at("auth", "users")).names == ()
    [found] = report.problems
    assert found.key == "auth.users"
    assert found.wrong.endswith("cannot be read: No such file or directory")


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    for path in (tmp_path / "pipe", tmp_path):
        report = loose_report()
        assert compile_users(path, report).names == ()
        assert report.problems[0].wrong == f"{path} is no file"


@pytest.mark.parametrize("text", ["", "\n\n", "# nobody yet\n"], ids=["empty", "empty lines", "comments"])
def test_a_file_without_users_is_a_warning_and_lets_nobody_in(tmp_path: Path, text: str) -> None:
    found, [problem] = load(tmp_path / "f", text)
    assert problem.warning
    assert found.sign_in("anybody").known is False


def test_weak_argon2id_and_doubled_lines_are_warnings(tmp_path: Path) -> None:
    _, problems = load(tmp_path / "f", f"a:{BCRYPT}\na:{BCRYPT}\nb:{ONE}\n")
    assert [(problem.place.line, problem.warning) for problem in problems] == [(2, True), (3, True)]
    assert "twice" in problems[0].wrong
    assert "weak" in problems[1].wrong


def test_many_kinds_of_hashes_are_a_warning(tmp_path: Path) -> None:
    _, problems = load(tmp_path / "f", f"a:{BCRYPT}\nb:{ONE}\nc:{OTHER}\n")
    assert "has 3 kinds of hashes" in problems[-1].wrong


@given(data=st.binary(max_size=300) | st.text(alphabet=f":#\n\r \t$aé{ONE[:12]}", max_size=300).map(str.encode))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_reading_any_file_ends_with_users_or_a_report(tmp_path: Path, data: bytes) -> None:
    found, problems = load(tmp_path / "f", data)
    assert found.names or problems
    for name in found.names:
        assert all(not isinstance(parse_hash(stored.text), str) for stored in found.sign_in(name).hashes)


def test_user_names_do_not_depend_on_the_order_of_lines(users: MakeUsers) -> None:
    for lines in itertools.permutations([f"a:{ONE}", f"b:{TWO}", f"c:{OTHER}"]):
        assert users(*lines).names == tuple(line[0] for line in lines)
