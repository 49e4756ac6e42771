"""`gateway journal …`: what operators ask of the journal and tell it, one module a command.

None of them needs a running gateway, and all but `reindex` and `restore` may run beside one. Values of leads are
shown by `show --body` alone; `export` opens what the platform's upload has columns for.
"""

from __future__ import annotations

import click

from gateway.cli import LazyGroup

#: command: (module below gateway.cli.journal, what it does); the order is that of `gateway journal --help`.
COMMANDS = {
    "unknown": ("unknown", "List the submissions whose outcome nobody knows."),
    "show": ("show", "Show one submission."),
    "settle": ("settle", "Say what became of a submission whose outcome is unknown."),
    "search": ("search", "Find submissions."),
    "export": ("export", "Write conversions as CSV: accepted late, or accepted at all."),
    "erase": ("erase", "Erase what is kept of a person or a submission."),
    "rotate": ("rotate", "Wrap all records' keys by the newest key of the ring."),
    "reindex": ("reindex", "Make all hashes anew after index_key or index has changed."),
    "backup": ("backup", "Copy the journal's file while the gateway runs."),
    "restore": ("restore", "Put a backup in the place of a journal that is gone."),
    "verify": ("verify", "Check that a journal or a backup is whole and can be opened."),
    "migrate": ("migrate", "Bring the journal's schema to this version."),
}


@click.group(cls=LazyGroup, package="gateway.cli.journal", subcommands=COMMANDS)
def command() -> None:
    """Look into the journal and settle what it does not know.

    docs/journal.md walks through the usual days. Exit codes: 0 fine, 1 not found or not all could be done, 2 wrong
    use or a wrong configuration.
    """
