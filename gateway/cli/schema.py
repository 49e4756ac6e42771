"""`gateway schema`."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--program", is_flag=True, help="The schema of a program file instead of that of gateway.yaml.")
def command(program: bool) -> None:
    """Print the JSON Schema of the configuration, for editors.

    Editors with the YAML language server take it from a file's first line:
    "# yaml-language-server: $schema=gateway.schema.json".
    """
    from gateway.settings.schema import gateway_schema, program_schema

    click.echo(json.dumps(program_schema() if program else gateway_schema(), indent=2, ensure_ascii=False))
