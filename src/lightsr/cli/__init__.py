"""The command line: one file per verb, and `app`, which finds and runs them."""

from __future__ import annotations


def main() -> int:
    """Run the `lightsr` command on the process's arguments and return its exit status."""
    try:
        from lightsr.cli.app import run

        return run()
    except KeyboardInterrupt:  # before the command was ready to report it
        return 130
