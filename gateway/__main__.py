"""`gateway` and `python -m gateway`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; exit codes: 0 fine, 1 found faults, 2 wrong use."""
    import io
    import sys

    for stream in (sys.stdout, sys.stderr):
        # Our texts have characters that a terminal in the C locale has not.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    from gateway.cli import gateway

    gateway(prog_name="gateway")


if __name__ == "__main__":
    main()
