"""The `upstream:` block: what it compiles to, and what is said about a wrong one."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from gateway.settings.models import UpstreamSettings
from gateway.settings.problems import Problem, loose_report
from gateway.upstream import Forward, UpstreamPlan, compile_upstream
from gateway.upstream import plan as plan_module


def compiled(url: str, **settings: Any) -> tuple[UpstreamPlan, list[Problem]]:
    report = loose_report()
    return compile_upstream(UpstreamSettings(url=url, **settings), report), report.problems


@pytest.mark.parametrize(
    ("url", "host", "port", "shown", "target"),
    [
        ("http://legacy.example", "legacy.example", 80, "legacy.example", "/"),
        ("http://legacy.example/a/../b//c", "legacy.example", 80, "legacy.example", "/a/../b//c"),
        (
            "http://legacy.example:8080/%7Ea%zz?x=1&x=%20",
            "legacy.example",
            8080,
            "legacy.example:8080",
            "/%7Ea%zz?x=1&x=%20",
        ),
        ("http://legacy.example?x=1", "legacy.example", 80, "legacy.example", "/?x=1"),
        ("http://legacy.example:80/", "legacy.example", 80, "legacy.example", "/"),
        ("https://Legacy.Example/lead.pl", "Legacy.Example", 443, "Legacy.Example", "/lead.pl"),
        ("https://legacy.example:80/", "legacy.example", 80, "legacy.example:80", "/"),
        ("http://192.0.2.1:81/", "192.0.2.1", 81, "192.0.2.1:81", "/"),
        ("http://[2001:db8::1]/x", "2001:db8::1", 80, "[2001:db8::1]", "/x"),
        ("http://[::1]:8080/x", "::1", 8080, "[::1]:8080", "/x"),
        ("http://a_b.internal/x", "a_b.internal", 80, "a_b.internal", "/x"),
        ("http://h/a?b=http://u:p@x/", "h", 80, "h", "/a?b=http://u:p@x/"),
    ],
)
def test_a_url_is_taken_apart_and_its_target_kept_byte_for_byte(
    url: str, host: str, port: int, shown: str, target: str
) -> None:
    plan, problems = compiled(url)
    assert not problems
    assert (plan.host, plan.port) == (host, port)
    assert (plan.tls is not None) == url.startswith("https")
    head = plan.head(Forward(raw_headers=(), reference="R", client="::1"), 0)
    assert head.startswith(f"POST {target} HTTP/1.1\r\nHost: {shown}\r\n".encode())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("legacy.example/x", "no URL"),
        ("ftp://legacy.example/x", "no URL"),
        ("HTTP://legacy.example/x", "no URL"),
        ("http:///x", "no URL"),
        ("http://", "no URL"),
        ("", "no URL"),
        ("http://legacy.example:/x", "no URL"),
        ("http://legacy.example:port/x", "no URL"),
        ("http://legacy.example:0/x", "port 0"),
        ("http://legacy.example:65536/x", "port 65536"),
        ("http://user:s3cret@legacy.example/x", "credentials"),
        ("http://legacy.example/x#top", "fragment"),
        ("http://legacy.example/a b", "characters"),
        ("http://legacy.example/a\r\nX-Evil: 1", "characters"),
        ("http://münchen.example/", "characters"),
        ("http://legacy.example/ü", "characters"),
        ("http://[::1/x", "no URL"),
        ("http://[::g]/x", "no URL"),
        ("http://[1:2]/x", "no valid address"),
        ("http://[127.0.0.1]/x", "no valid address"),
        ("http://256.0.0.1/x", "no valid address"),
        ("http://2130706433/x", "no valid address"),
        ("http://a\\b/x", "no URL"),
    ],
)
def test_a_url_that_leads_cannot_be_posted_to_is_an_error_at_its_key(url: str, said: str) -> None:
    _, problems = compiled(url)
    assert [problem.key for problem in problems] == ["url"]
    assert said in problems[0].wrong
    assert problems[0].allowed
    assert "s3cret" not in str(problems[0])


def test_all_that_is_wrong_is_said_at_once() -> None:
    _, problems = compiled(
        "http://legacy.example:0/",
        timeouts={"connect": "9s", "first_byte": "8s", "total": "7s"},
        auth={"user": "a:b", "password": "p\n"},
        tls={"ca": "/nowhere/ca.pem"},
    )
    errors = {problem.key for problem in problems if not problem.warning}
    assert errors == {"url", "timeouts.connect", "timeouts.first_byte", "auth.user", "auth.password", "tls.ca"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "cannot be read (No such file or directory)", id="absent"),
        pytest.param("nonsense", "holds no certificate", id="no certificate"),
        pytest.param("", "holds no certificate", id="empty"),
    ],
)
def test_an_authority_file_that_is_no_use_is_an_error(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    _, [problem] = compiled("https://legacy.example/", tls={"ca": file})
    assert problem.key == "tls.ca"
    assert said in problem.wrong


def test_the_certificate_and_the_name_are_verified() -> None:
    plan, _ = compiled("https://legacy.example/")
    assert plan.tls is not None
    assert plan.tls.verify_mode is ssl.CERT_REQUIRED
    assert plan.tls.check_hostname
    assert plan.tls.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://legacy.example/", True),
        ("http://127.0.0.1:81/", False),
        ("http://[::1]/", False),
        ("http://localhost/", False),
        ("https://legacy.example/", False),
    ],
)
def test_a_password_in_clear_text_over_the_network_is_warned_of(url: str, warned: bool) -> None:
    _, problems = compiled(url, auth={"user": "gw", "password": "hidden-word"})
    assert [problem.warning for problem in problems] == [True] * warned
    assert not any("hidden-word" in str(problem) for problem in problems)


def test_no_secret_shows_in_the_repr_of_a_plan() -> None:
    plan, _ = compiled("https://legacy.example/", auth={"user": "gw", "password": "hidden-word"})
    assert "hidden-word" not in repr(plan)


def test_without_the_compiled_parser_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "parser_is_compiled", lambda: False)
    _, [problem] = compiled("http://legacy.example/")
    assert "C parser" in problem.wrong
