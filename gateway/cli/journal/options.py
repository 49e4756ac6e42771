"""Options and arguments that several of these commands take, written once."""

from __future__ import annotations

import click

program_option = click.option("--program", metavar="NAME", help="Of this program only.")
partner_option = click.option("--partner", metavar="NAME", help="Of this partner only.")
_MOMENT = "A day (2026-03-01), a time (2026-03-01T14:30), or how long ago (90m, 36h, 7d)."
since_option = click.option("--since", metavar="TIME", help=f"From then on. {_MOMENT}")
until_option = click.option("--until", metavar="TIME", help="Before then.")
field_option = click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of leads with this value, for fields in journal.index; several: of leads with all of them. "
    "NAME alone: the value is asked for, so that it stands in no history.",
)
why_option = click.option("--why", required=True, metavar="TEXT", help="Kept with your name in the journal.")


class Reference(click.ParamType[str]):
    """A submission's reference, as a partner may copy it: in any case, with `ref=` before it."""

    name = "reference"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = value.strip().strip("[]").rpartition("ref=")[2].upper()
        if len(text) != 26 or not text.isalnum() or not text.isascii():
            self.fail("is no reference: 26 letters and digits, behind ref= in the note.", param, ctx)
        return text


reference_argument = click.argument("reference", metavar="REF", type=Reference())
