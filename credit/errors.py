"""Every error that a user can cause or mend; knows nothing of the work that raises it.

    CreditError            exit code 2   bad input or use
    ├── ConfigError                      a portfolio file, a setting or an option
    ├── DataError                        data that cannot be read
    │   └── ContractError                data that break the portfolio's contract; all violations at once
    ├── ModelError                       a model that cannot be trained, or must not be loaded
    └── ServiceError       exit code 3   a server or database that does not answer

A message names what is wrong, where (file, row, column), the rule, the value and the remedy.
"""

from collections.abc import Sequence
from typing import Any

__all__ = ["ConfigError", "ContractError", "CreditError", "DataError", "ModelError", "ServiceError"]


class CreditError(Exception):
    """What a user can mend; the command line prints it without a traceback and exits with `exit_code`."""

    exit_code = 2


class ConfigError(CreditError):
    """A portfolio file, a setting or a command's option breaks a rule."""


class DataError(CreditError):
    """Data cannot be found or read."""


class ContractError(DataError):
    """Data break the contract.

    Parameters
    ----------
    message : str
        Every violation, one line each.
    violations : sequence
        The same as `credit.data.contract.Violation` objects.
    """

    def __init__(self, message: str, violations: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions cross process borders (Metaflow's @catch): keep the violations.
        return type(self), (str(self), self.violations)


class ModelError(CreditError):
    """A model cannot be trained, or its files must not be trusted."""


class ServiceError(CreditError):
    """A server or database does not answer."""

    exit_code = 3
