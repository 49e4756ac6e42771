"""docs/ says what the code does: settings, dependencies and commands are compared with the real ones."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import typing
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import click
from pydantic import BaseModel

from gateway.cli import COMMANDS, gateway
from gateway.settings.models import FieldSettings, GatewaySettings, ProgramSettings
from tests.support.commands_reference import reference as commands_reference
from tests.support.settings_reference import reference

ROOT = Path(__file__).parents[2]


def test_the_settings_reference_is_made_from_the_models() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == reference(), "run: python -m tests.support.settings_reference > docs/settings.md"


def blocks_in(annotation: object, way: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """(what leads to it, block) of each block that stands anywhere in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield way, annotation
    origin = typing.get_origin(annotation)
    step = "[]" if origin is tuple else ".<name>" if origin is dict else ""
    for one in typing.get_args(annotation):
        yield from blocks_in(one, way + step)


def paths(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """(path, the block it stands in) of every setting that is no mere block, however deep."""
    for name, field in model.model_fields.items():
        found = list(blocks_in(field.annotation))
        if not found or field.annotation is not found[0][1]:
            yield f"{before}{name}", model
        for way, block in found:
            yield from paths(block, f"{before}{name}{way}.")


def test_every_setting_however_deep_stands_in_the_reference() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    found = [*paths(GatewaySettings), *paths(ProgramSettings)]
    assert {"listen.address", "lead.duplicates[].name", "answer.sale_amount.money.decimal"} <= {key for key, _ in found}
    for path, model in found:
        if not path.startswith("lead.fields.<name>."):
            written = f"| `{path}.<name>` |" if path == "lead.fields" else f"| `{path}` |"
            assert page.count(f"\n{written}") == 1, path
            continue
        name = path.rpartition(".")[2]
        [word] = typing.get_args(model.model_fields["type"].annotation)
        if name == "type":
            assert f"\n| `{word}` |" in page, path
        elif name in FieldSettings.model_fields:
            assert page.count(f"\n| `{name}` |") == 1, path
        else:
            assert page.count(f"\n| `{word}` | `{name}` |") == 1, path


def test_the_reference_sends_elsewhere_for_the_answers_language_alone() -> None:
    assert (ROOT / "docs" / "settings.md").read_text().count("see docs/answers.md") == 1


def test_every_dependency_has_its_line_of_why() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    optional = project["project"]["optional-dependencies"].values()
    declared = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *chain.from_iterable(optional),
    ]
    names = {re.split(r"[<>=\[; ]", one)[0].lower() for one in declared}
    page = (ROOT / "docs" / "dependencies.md").read_text()
    told = {
        name.strip().lower() for line in re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE) for name in line.split(",")
    }
    assert told - {"package", "---"} == names


def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """(name with those before it, command) of every command that does something."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for below in command.list_commands(context):
        found = command.get_command(context, below)
        assert found is not None
        yield from leaves(found, f"{name} {below}")


def test_the_commands_reference_is_made_from_the_commands() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    assert page == commands_reference(), "run: python -m tests.support.commands_reference > docs/commands.md"


def test_every_command_and_option_stands_in_the_reference() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    sections = dict(re.findall(r"^##+ (gateway.*)\n((?:(?!#).*\n)*)", page, re.MULTILINE))
    found = dict(leaves(gateway, "gateway"))
    assert len(found) >= 22
    assert set(sections) - {"gateway journal"} == set(found)
    for name, command in found.items():
        spellings = [one for param in command.params if isinstance(param, click.Option) for one in param.opts]
        told = re.findall(r"^- `(-[^` ,]+)(?:, (-[^` ]+))?", sections[name], re.MULTILINE)
        assert sorted(one for pair in told for one in pair if one) == sorted(spellings), name


def test_every_command_has_help_and_stands_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    for name in COMMANDS:
        assert f"`{name}`" in changelog


def test_the_readme_links_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in sorted((ROOT / "docs").glob("*.md")):
        assert f"- [docs/{page.name}](docs/{page.name}): " in readme


def test_the_locks_name_no_host_and_pin_with_hashes() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert text.count("==") > 20
        assert "--hash=sha256:" in text


def test_version_loads_neither_the_server_nor_pydantic() -> None:
    code = (
        "import sys; from gateway.cli import gateway; gateway(['version'], standalone_mode=False); "
        "print([m for m in ('aiohttp', 'pydantic', 'lxml', 'uvloop', 'prometheus_client') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[1] == "[]"
