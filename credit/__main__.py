"""The command line as a program: puts the commands together, and makes every end one message and one exit code.

Exit codes are those of `credit.cli.help.EXITS`: 0 done; 1 a check found something; 2 bad input or use; 3 a service does
not answer; 130 interrupted; 141 nobody reads the output any more.  With ``--json`` standard output holds exactly one
object, after an error ``{"error": {"kind": ..., "message": ..., "exit_code": ...}}``; the message also goes to standard
error, as it does for people.
"""

import json
import sys
from dataclasses import asdict
from typing import Any

import typer

from credit import console
from credit.cli import books, decisions, doctor, models, simulation
from credit.cli.help import INTERRUPTED
from credit.cli.options import say
from credit.cli.root import app
from credit.errors import ContractError, CreditError

__all__ = ["app", "main"]

#: Imported because they put their commands into `app`.
PARTS = (models, decisions, simulation, books, doctor)
#: What typer raises for an option or a command that is not known; it has no public name of its own.
UsageError: type[Any] = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run a command and exit with its code."""
    console.require_unix()
    console.quiet()
    console.configure()
    try:
        code = app(standalone_mode=False)
    except CreditError as error:
        sys.stderr.write(f"credit: {error}\n")
        code = error.exit_code
        found = [asdict(each) for each in error.violations] if isinstance(error, ContractError) else None
        _tell(type(error).__name__, str(error), code, found)
    except UsageError as error:
        error.show()
        code = error.exit_code
        _tell("UsageError", error.format_message(), code)
    if code == INTERRUPTED:
        sys.stderr.write("credit: interrupted; what was complete is kept.\n")
    sys.exit(code)


def _tell(kind: str, message: str, code: int, violations: Any = None) -> None:
    """Print an error as the one object that who asked for JSON waits for."""
    if "--json" not in sys.argv:
        return
    told = {"kind": kind, "message": message, "exit_code": code}
    told |= {"violations": violations} if violations else {}
    say(json.dumps({"error": told}, indent=2, ensure_ascii=False, default=str))


if __name__ == "__main__":
    main()
