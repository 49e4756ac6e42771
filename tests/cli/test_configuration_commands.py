"""`check`, `schema` and `init`, as a person runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cli import gateway
from gateway.intake.passwords import parse_hash
from gateway.settings.load import load

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(gateway, [str(one) for one in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(autouse=True)
def no_configuration_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """What `gateway init` wrote, and what it printed."""
    folder = tmp_path_factory.mktemp("init") / "lead gateway"
    return folder, run("init", folder)


@pytest.fixture
def top(made: tuple[Path, Result], tmp_path: Path) -> Path:
    """A copy of it to break."""
    shutil.copytree(made[0], tmp_path / "copy")
    return tmp_path / "copy" / "gateway.yaml"


# --- init ----------------------------------------------------------------------------------------


def test_init_writes_a_configuration_that_check_has_nothing_to_say_about(made: tuple[Path, Result]) -> None:
    folder, result = made
    assert result.exit_code == 0
    check = run("check", "--strict", "-c", folder / "gateway.yaml")
    assert (check.output, check.exit_code) == ("configuration is fine: 1 program\n", 0)


def test_init_keeps_what_it_made_up_private(made: tuple[Path, Result]) -> None:
    folder, result = made

    def mode(name: str) -> int:
        return stat.S_IMODE((folder / name).stat().st_mode)

    assert [mode(name) for name in ("keys", "keys/ids", "partners.htpasswd")] == [0o700, 0o600, 0o600]
    key = (folder / "keys" / "ids").read_text()
    assert re.fullmatch(r"[0-9a-f]{64}\n", key)
    assert key.strip() not in result.output


def test_the_password_that_init_prints_is_the_one_in_the_file(made: tuple[Path, Result]) -> None:
    folder, result = made
    printed = re.search(r"user is (\S+), its password (\S+)", result.output)
    assert printed is not None
    user, colon, stored = (folder / "partners.htpasswd").read_text().strip().partition(":")
    assert (user, colon) == (printed[1], ":")
    parsed = parse_hash(stored)
    assert not isinstance(parsed, str)
    assert parsed.matches(printed[2].encode())
    assert len(printed[2]) >= 32
    assert result.output.count(printed[2]) == 1


def test_each_init_makes_up_its_own_secrets(made: tuple[Path, Result], tmp_path: Path) -> None:
    run("init", tmp_path)
    for name in ("keys/ids", "partners.htpasswd"):
        assert (tmp_path / name).read_text() != (made[0] / name).read_text()


@pytest.mark.parametrize("name", ["gateway.yaml", "programs/example.yaml", "partners.htpasswd", "keys/ids"])
def test_init_overwrites_nothing_and_then_writes_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    result = run("init", tmp_path)
    assert result.exit_code == 1
    assert str(tmp_path / name) in result.output
    assert sorted(tmp_path.rglob("*")) == before


def test_init_into_what_is_no_folder_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run("init", tmp_path / "file").exit_code == 2
    below = run("init", tmp_path / "file" / "folder")
    assert below.exit_code == 1
    assert "cannot be written" in below.output


# --- check ---------------------------------------------------------------------------------------


def test_check_prints_one_line_for_each_finding_and_a_summary(top: Path) -> None:
    top.write_text(top.read_text() + "log: {level: x}\nlimits: {fields: x}\n")
    program = top.parent / "programs" / "example.yaml"
    program.write_text(re.sub("auth: .*", "auth: none", program.read_text()))
    result = run("check", "-c", top)
    assert result.exit_code == 1
    *lines, summary = result.output.splitlines()
    assert summary == "2 errors, 1 warning"
    assert [line.split(" ")[0].rsplit("/", 1)[1] for line in lines] == [
        "gateway.yaml:9:14:",
        "gateway.yaml:10:18:",
        "example.yaml:6:7:",
    ]


def test_warnings_fail_a_check_only_when_it_is_strict(top: Path) -> None:
    program = top.parent / "programs" / "example.yaml"
    program.write_text(re.sub("auth: .*", "auth: none", program.read_text()))
    result = run("check", "-c", top)
    assert result.exit_code == 0
    assert result.output.endswith("\nconfiguration is fine: 1 program, 1 warning\n")
    assert run("check", "--strict", "-c", top).exit_code == 1


def test_check_speaks_json(top: Path) -> None:
    assert json.loads(run("check", "--json", "-c", top).output) == []
    top.write_text(top.read_text() + "log: {level: x}\n")
    result = run("check", "--json", "-c", top)
    assert result.exit_code == 1
    assert json.loads(result.output) == [
        {
            "file": str(top),
            "line": 9,
            "column": 14,
            "key": "log.level",
            "severity": "error",
            "wrong": "x is not allowed",
            "allowed": "debug, info, warning or error",
        }
    ]


def test_the_configuration_is_an_option_else_a_variable_else_the_default(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("check").output.startswith("config/gateway.yaml:1:1: does not exist")
    (tmp_path / "config").symlink_to(top.parent)
    assert run("check").exit_code == 0
    monkeypatch.setenv("GATEWAY_CONFIG", "variable.yaml")
    assert run("check").output.startswith("variable.yaml:1:1: does not exist")
    assert run("check", "--config", "option.yaml").output.startswith("option.yaml:1:1: does not exist")
    monkeypatch.setenv("GATEWAY_CONFIG", "")
    assert run("check").exit_code == 0


def test_wrong_use_is_exit_code_2(top: Path) -> None:
    assert run("check", "--no-such-option").exit_code == 2
    assert run("check", top).exit_code == 2
    assert run("init").exit_code == 2
    assert run("schema", "gateway").exit_code == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"\0", b"{" * 10_000, b"a: &a [*a]", b"? ? ?", b"- " * 5000, b"!!python/object:os.system x"],
)
def test_check_of_garbage_is_lines_and_no_traceback(top: Path, content: bytes) -> None:
    for file in (top, top.parent / "programs" / "example.yaml"):
        file.write_bytes(content)
        result = run("check", "-c", top)
        assert result.exit_code == 1
        assert all(line.isprintable() for line in result.output.splitlines())


def test_check_of_odd_file_names_prints_one_line_each(top: Path) -> None:
    folder = os.fsencode(top.parent / "programs")
    for name in (b"caf\xe9.yaml", b"two\nlines.yaml"):
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(b"]")
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "check", "-c", top], capture_output=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1
    assert done.stderr == b""
    lines = done.stdout.decode().splitlines()
    assert [line.rsplit("/", 1)[-1].split(":")[0] for line in lines] == [
        "caf\\udce9.yaml",
        "two\\nlines.yaml",
        "2 errors",
    ]


def test_a_file_that_may_not_be_read_is_told_so(top: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (top.parent / "programs" / "example.yaml").chmod(0)
    assert "may not be read by this user" in run("check", "-c", top).output


# --- schema --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "key"), [(("schema",), "programs"), (("schema", "--program"), "upstream")])
def test_schema_prints_the_schema_of_either_file(arguments: tuple[str, ...], key: str) -> None:
    schema = json.loads(run(*arguments).output)
    assert schema["$schema"].endswith("2020-12/schema")
    assert key in schema["properties"]


# --- the shipped sample --------------------------------------------------------------------------


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """The shipped sample; git keeps no modes, so the credential file is made private as `check` asks."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "config" / "partners.htpasswd").chmod(0o600)
    return tmp_path / "config"


def test_check_has_nothing_to_say_about_the_shipped_sample(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sample.parent)
    result = run("check", "--strict")
    assert (result.output, result.exit_code) == ("configuration is fine: 1 program\n", 0)


def test_the_samples_secrets_are_marked_as_samples(sample: Path) -> None:
    assert (sample / "keys" / "ids").read_text().startswith("SAMPLE-KEY-")
    comment, *_, line = (sample / "partners.htpasswd").read_text().splitlines()
    said = re.fullmatch(r"# SAMPLE: user (\w+), password ([\w-]+)\. .*", comment)
    assert said is not None
    user, _, stored = line.partition(":")
    parsed = parse_hash(stored)
    assert user == said[1]
    assert not isinstance(parsed, str)
    assert parsed.matches(said[2].encode())


def test_what_the_samples_page_says_to_do_makes_secrets_that_nobody_knows(sample: Path) -> None:
    lines = re.findall(r"^ {6}(.+)$", (ROOT / "config" / "README.md").read_text(), re.MULTILINE)
    assert len(lines) == 5
    script = "\n".join([f'gateway() {{ "{sys.executable}" -m gateway "$@"; }}', *lines])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(["bash", "-ec", script], cwd=sample.parent, env=environment, input=b"s3cret", check=True)
    secrets = [*(sample / "keys").iterdir(), sample / "partners.htpasswd"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in secrets] == [0o600] * 4
    assert not any("SAMPLE" in path.read_text() for path in secrets)
    assert len({path.read_text() for path in secrets}) == 4
    result = run("check", "--strict", "-c", sample / "gateway.yaml")
    assert result.exit_code == 0, result.output


def test_the_sample_shows_every_block_of_a_program(sample: Path) -> None:
    (program,) = load(sample / "gateway.yaml").programs
    assert set(type(program.settings).model_fields) == program.settings.model_fields_set


# --- whatever a file holds -----------------------------------------------------------------------

ANSWER_KEYS = [
    "verdict", "when", "rules", "unwrap", "map", "json", "xpath", "css", "text", "form", "header", "from", "first",
    "join", "status", "kind", "equals", "word", "matches", "exists", "empty", "any", "not", "query", "decode", "as",
    "for", "unless", "else", "uniqueid", "sale_amount", "note", "name", "release", "charset", "namespaces", "attr",
]  # fmt: skip
WORDS = [
    "accepted",
    "rejected",
    "",
    "a.b",
    "//a",
    "^x$",
    "(",
    "[",
    "200",
    "2xx",
    "true",
    "$",
    "#a",
    "utf-8",
    "{}",
    "\0",
    "é",
]
BLOCKS = st.recursive(
    st.none() | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(ANSWER_KEYS), inner, max_size=3),
    max_leaves=10,
)
OTHERS = {
    "lead": {
        "fields": st.dictionaries(
            st.sampled_from(["email", "a.b", "", "x y", "é"]),
            st.fixed_dictionaries(
                {"type": st.sampled_from(["string", "date", "decimal", "phone"])},
                optional={
                    "pattern": st.sampled_from(WORDS),
                    "formats": st.lists(st.sampled_from(["%Y", "%", "%Y-%m-%d", "x", "\0"]), max_size=2),
                    "min": st.sampled_from(["x", "1", "-1.5", 3, 1e400]),
                    "region": st.sampled_from(["US", "ZZ"]),
                    "aliases": st.lists(st.sampled_from(["email", "", "a.b"]), max_size=2),
                },
            ),
            max_size=2,
        ),
    },
    "answer": {
        "uniqueid": st.fixed_dictionaries({"order_id_pattern": st.sampled_from(WORDS)}),
        "customerid": st.fixed_dictionaries({"field": st.sampled_from(WORDS)}),
    },
    "upstream": {
        "url": st.sampled_from(["", "http://", "http://[::1", "http://a:99999/", "http://é/", "http://a/\0", "x"])
    },
    "auth": {"users": st.sampled_from(["", ".", "\0", "x" * 5000, "../gateway.yaml"])},
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_check_never_ends_in_a_traceback(top: Path, data: st.DataObject) -> None:
    program = yaml.safe_load((top.parent / "programs" / "example.yaml").read_text(encoding="utf-8"))
    program["answers"] = data.draw(BLOCKS)
    for block, keys in OTHERS.items():
        if data.draw(st.booleans()):
            program[block] |= {key: data.draw(values) for key, values in keys.items()}
    (top.parent / "programs" / "example.yaml").write_text(yaml.safe_dump(program), encoding="utf-8")
    result = run("check", "-c", top)
    assert result.exit_code in (0, 1)
    assert all(line.isprintable() for line in result.output.splitlines()), result.output
