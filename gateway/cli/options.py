"""Options that several commands take, written once."""

from __future__ import annotations

from pathlib import Path

import click

#: `-c/--config PATH`: the parameter `config`, a path that need not exist (`load` says what is wrong with it).
config_option = click.option(
    "-c",
    "--config",
    "config",
    metavar="PATH",
    type=click.Path(path_type=Path),
    envvar="GATEWAY_CONFIG",
    default=Path("config/gateway.yaml"),
    show_default="$GATEWAY_CONFIG, else config/gateway.yaml",
    help="The configuration's top file.",
)

#: `--json`: the parameter `as_json`.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
