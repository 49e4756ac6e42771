"""The configuration as a whole: several files, all errors at once, nothing that a file holds raises."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from gateway.settings.load import Loaded, load
from gateway.settings.models import AnyField, GatewaySettings, ProgramSettings
from gateway.settings.problems import Place, tidy
from gateway.settings.wording import as_model


def lines_of(loaded: Loaded, folder: Path) -> list[str]:
    return [str(one).replace(f"{folder}/", "") for one in loaded.findings()]


def program(folder: Path, name: str, *, path: str = "", more: str = "") -> Path:
    text = (folder / "programs" / "program.yaml").read_text()
    text = text.replace("program: auto", f"program: {name}").replace("/leads/auto", path or f"/leads/{name}")
    file = folder / "programs" / f"{name}.yaml"
    file.write_text(text + more)
    return file


# --- what is loaded ------------------------------------------------------------------------------


def test_a_good_configuration_loads_with_paths_relative_to_their_files(good: Path) -> None:
    loaded = load(good)
    assert loaded.findings() == []
    assert not loaded.failed
    assert loaded.settings is not None
    assert loaded.settings.listening.endpoint == ("127.0.0.1", 8080)
    assert loaded.settings.administration.endpoint == ("127.0.0.1", 9090)
    (one,) = loaded.programs
    assert one.file == good.parent / "programs" / "program.yaml"
    assert one.settings.program == "auto"
    assert one.settings.auth != "none"
    assert one.settings.auth.users == good.parent / "programs" / ".." / "partners.htpasswd"
    assert one.settings.answers == {"verdict": {"json": "result", "map": {"ok": "accepted", "no": "rejected"}}}


def test_an_address_may_be_a_word_or_a_block(good: Path) -> None:
    text = good.read_text()
    for written in ('"[::1]:81"', '{address: "[::1]:81"}'):
        good.write_text(f"{text}listen: {written}\nadmin: {written.replace('81', '82')}\n")
        settings = load(good).settings
        assert settings is not None
        assert settings.listening.endpoint == ("::1", 81)
        assert settings.administration.endpoint == ("::1", 82)


def test_expanded_text_serves_as_number_truth_value_and_word(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NUMBER": "17", "TRUTH": "true", "WORD": "xml", "TIME": "3s", "USERS": "../u"}.items():
        monkeypatch.setenv(f"GATEWAY_TEST_{name}", value)
    good.write_text(good.read_text() + 'limits: {fields: "${env:GATEWAY_TEST_NUMBER}"}\n')
    program(
        good.parent,
        "other",
        more='lead: {accept: ["${env:GATEWAY_TEST_WORD}"], fields: {email: {type: email, '
        'required: "${env:GATEWAY_TEST_TRUTH}", aliases: ["${env:GATEWAY_TEST_NUMBER}"]}}}\n',
    )
    loaded = load(good)
    assert loaded.findings() == []
    assert loaded.settings is not None
    assert loaded.settings.limits.fields == 17
    lead = loaded.programs[0].settings.lead
    assert lead.accept == ("xml",)
    assert lead.fields["email"].required is True
    assert lead.fields["email"].aliases == ("17",)


def test_a_decimal_bound_keeps_its_digits(good: Path) -> None:
    program(
        good.parent, "other", more="lead: {fields: {x: {type: decimal, min: 0.10, max: 1000}}}\nanswer: {email: none}\n"
    )
    loaded = load(good)
    assert loaded.findings() == []
    field = loaded.programs[0].settings.lead.fields["x"]
    assert field.type == "decimal"
    assert (field.min, field.max) == ("0.10", "1000")


def test_programs_come_in_the_order_of_the_patterns_each_once(good: Path) -> None:
    for name in ("b", "a", "c"):
        program(good.parent, name)
    (good.parent / "programs" / ".hidden.yaml").write_text("]")
    good.write_text('id_key: "${file:keys/ids}"\nprograms: [programs/c.yaml, "programs/[a-b].yaml", programs/*.yaml]\n')
    loaded = load(good)
    assert loaded.findings() == []
    assert [one.settings.program for one in loaded.programs] == ["c", "a", "b", "auto"]


def test_a_folder_with_pattern_characters_in_its_name_is_no_pattern(good: Path) -> None:
    folder = good.parent / "config [a-z]*"
    folder.mkdir()
    for name in ("keys", "programs", "gateway.yaml", "partners.htpasswd"):
        (good.parent / name).rename(folder / name)
    loaded = load(folder / "gateway.yaml")
    assert loaded.findings() == []
    assert len(loaded.programs) == 1


def test_an_absolute_pattern_stands_for_itself(good: Path, tmp_path: Path) -> None:
    top = tmp_path / "elsewhere.yaml"
    top.write_text(f'id_key: "${{file:keys/ids}}"\nprograms: ["{good.parent}/programs/*.yaml"]\n')
    assert len(load(top).programs) == 1


# --- all errors at once --------------------------------------------------------------------------


def test_errors_of_all_files_come_at_once_top_file_first_each_from_top_to_bottom(good: Path) -> None:
    good.write_text("log: {level: x}\n" + good.read_text() + "limits: {fields: no}\n")
    program(good.parent, "b", more="networks: 3\nmode: observe\n")
    (good.parent / "programs" / "a.yaml").write_text("program: {\n")
    assert [line.split(": ", 2)[:2] for line in lines_of(load(good), good.parent)] == [
        ["gateway.yaml:1:14", "log.level"],
        ["gateway.yaml:4:18", "limits.fields"],
        ["programs/a.yaml:2:1", "program"],
        ["programs/b.yaml:6:11", "networks"],
        ["programs/b.yaml:7:1", "mode"],
    ]


def test_two_programs_with_one_name_or_path_are_told_with_both_places(good: Path) -> None:
    program(good.parent, "a", path="/leads/x")
    text = (good.parent / "programs" / "a.yaml").read_text()
    (good.parent / "programs" / "b.yaml").write_text("# moved down\n" + text)
    assert lines_of(load(good), good.parent) == [
        "programs/b.yaml:2:10: program: same program as in programs/a.yaml:1:10; one program for each program",
        "programs/b.yaml:3:7: path: same path as in programs/a.yaml:2:7; one program for each path",
    ]


def test_stand_ins_for_what_is_wrong_never_collide(good: Path) -> None:
    for name in ("a", "b"):
        (good.parent / "programs" / f"{name}.yaml").write_text("program: ''\n")
    assert not any("same" in line for line in lines_of(load(good), good.parent))


def test_a_program_with_an_error_still_reaches_the_compilers(good: Path) -> None:
    program(good.parent, "other", more="deadline: soon\n")
    loaded = load(good)
    assert loaded.failed
    assert [one.settings.program for one in loaded.programs] == ["other", "auto"]
    assert loaded.programs[0].settings.answers == loaded.programs[1].settings.answers


def test_warnings_do_not_fail_a_configuration(good: Path) -> None:
    file = program(good.parent, "other")
    file.write_text(file.read_text().replace("{users: ../partners.htpasswd}", "none"))
    loaded = load(good)
    assert not loaded.failed
    assert [one.warning for one in loaded.findings()] == [True]


def test_a_top_file_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    loaded = load(tmp_path / "gateway.yaml")
    assert loaded.failed
    assert loaded.settings is None
    assert [str(one) for one in loaded.findings()] == [
        f"{tmp_path}/gateway.yaml:1:1: does not exist; -c PATH, $GATEWAY_CONFIG, or gateway init DIR"
    ]


# --- secrets -------------------------------------------------------------------------------------


def test_no_secret_shows_in_settings_problems_or_tracebacks(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "canary-5d0a7c9be41f"
    monkeypatch.setenv("GATEWAY_TEST_SECRET", canary)
    every = "\n".join(f'{name}: "${{env:GATEWAY_TEST_SECRET}}"' for name in GatewaySettings.model_fields)
    good.write_text(every)
    everything = "\n".join(f'{name}: "${{env:GATEWAY_TEST_SECRET}}"' for name in ProgramSettings.model_fields)
    file = good.parent / "programs" / "other.yaml"
    file.write_text(
        everything.replace("upstream: ", "upstream: {auth: {user: x, password: ").replace("\nanswers", "}}\nanswers")
    )
    top = good.parent / "top.yaml"
    top.write_text('id_key: "${env:GATEWAY_TEST_SECRET}"\nprograms: [programs/other.yaml]\n')
    for loaded in (load(good), load(top)):
        assert loaded.failed
        assert canary not in "".join(map(str, loaded.findings()))
        assert canary not in repr(loaded.findings())
    assert loaded.settings is not None
    assert canary not in repr(loaded.settings)
    assert canary not in loaded.settings.model_dump_json()
    assert loaded.settings.id_key is not None
    assert loaded.settings.id_key.reveal() == canary


# --- every setting -------------------------------------------------------------------------------


def blocks() -> Iterator[type[BaseModel]]:
    waiting: list[type[BaseModel]] = [GatewaySettings, ProgramSettings, *get_args(get_args(AnyField)[0])]
    while waiting:
        model = waiting.pop()
        yield model
        waiting += [inner for one in model.model_fields.values() if (inner := as_model(one.annotation)) is not None]
        waiting += [
            inner
            for one in model.model_fields.values()
            for member in getattr(one.annotation, "__args__", ())
            if (inner := as_model(member)) is not None
        ]


def test_every_setting_says_what_it_is() -> None:
    silent = [
        f"{model.__name__}.{name}"
        for model in blocks()
        for name, setting in model.model_fields.items()
        if not setting.description and name != "type"
    ]
    assert silent == []


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 10**6)
    | st.sampled_from(
        ["", "none", "json", "8s", "1KiB", "as_received", "email", "integer", "/x", "127.0.0.1:1", "a\nb"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "url", "users", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def written(value: object) -> str:
    """A value as YAML flow text."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return '"' + value.replace("\n", "\\n") + '"'
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{key}: {written(one)}" for key, one in value.items()) + "}"
    return str(value)


def paths(model: type[BaseModel], base: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, setting in model.model_fields.items():
        yield (*base, name)
        inner = as_model(setting.annotation)
        if inner is None:
            inner = next(filter(None, map(as_model, getattr(setting.annotation, "__args__", ()))), None)
        if inner is not None and name != "fields":
            yield from paths(inner, (*base, name))


@pytest.mark.parametrize("model", [GatewaySettings, ProgramSettings])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere_is_taken_or_told_in_words_of_ours(
    good: Path, model: type[BaseModel], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from([*paths(model), ("lead", "fields", "x"), ("lead", "fields", "x", "type")]))
    text = written(data.draw(VALUES))
    for part in reversed(path):
        text = f"{{{part}: {text}}}"
    file = good if model is GatewaySettings else good.parent / "programs" / "any.yaml"
    file.write_text(text)
    found = load(good)
    for one in found.findings():
        assert one.wrong != "is not valid", one
        assert "Input" not in one.wrong
        assert "<" not in one.wrong
        assert str(one).isprintable()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=300))
def test_any_bytes_as_a_configuration_are_problems_never_an_exception(good: Path, raw: bytes) -> None:
    good.write_bytes(raw)
    assert load(good).findings()
    good.write_text('id_key: "${file:keys/ids}"\nprograms: [programs/*.yaml]\n')
    (good.parent / "programs" / "any.yaml").write_bytes(raw)
    assert load(good).findings()


def test_two_hundred_programs_load_in_a_moment(good: Path) -> None:
    sample = "lead:\n  fields:\n" + "".join(f"    field_{n}: {{type: string, required: true}}\n" for n in range(15))
    for number in range(200):
        program(good.parent, f"p{number}", more=sample + "answer: {email: none}\n")
    start = time.process_time()
    loaded = load(good)
    spent = time.process_time() - start
    assert loaded.findings() == []
    assert len(loaded.programs) == 201
    assert spent < 3  # 0.3 s on a slow machine


def test_a_path_is_shown_without_detours_but_not_past_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "programs").mkdir(parents=True)
    (tmp_path / "programs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "programs")
    assert str(tidy(Path("programs/../users"))) == "users"
    assert str(tidy(tmp_path / "programs" / ".." / "users")) == f"{tmp_path}/users"
    assert str(tidy(tmp_path / "link" / ".." / "users")) == f"{tmp_path}/link/../users"
    assert str(tidy(Path("a\0/../b"))) == "a\0/../b"
    assert str(Place(tmp_path / "programs" / ".." / "x.yaml", 1, 2)) == f"{tmp_path}/x.yaml:1:2"
