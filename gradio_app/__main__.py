"""Start the server: `python -m gradio_app`; reads the settings before it loads anything heavy."""

import sys
from collections.abc import Sequence

from credit.console import quiet, require_unix
from credit.errors import CreditError
from gradio_app import journal
from gradio_app.settings import Settings

__all__ = ["main"]


def main(options: Sequence[str] | None = None) -> int:
    """Serve until told to stop, and return the exit code: 0 after a graceful stop, 2 or 3 for a CreditError."""
    require_unix()
    quiet()
    try:
        settings = Settings.read(options)
        journal.configure()
        from gradio_app.server import serve  # noqa: PLC0415 (seconds)

        serve(settings)
    except CreditError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
