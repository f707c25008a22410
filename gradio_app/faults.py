"""Errors of the library -> one line for each fault, in the officer's words; knows no page and no HTTP."""

from dataclasses import dataclass

from credit.errors import ContractError, CreditError
from credit.portfolio import Language, Portfolio, words

__all__ = ["Fault", "faults", "rules"]


@dataclass(frozen=True)
class Fault:
    """One rule broken by what was given.

    Parameters
    ----------
    field : str
        What the officer is asked; empty where no single field is at fault.
    table, column : str
        Where; empty where no single column is at fault.
    rule : str
        As the contract calls it; "not accepted" for what never came before it.
    value : str
        As given; empty where it is not one value.
    message : str
        A sentence.
    """

    field: str
    table: str
    column: str
    rule: str
    value: str
    message: str


def faults(book: Portfolio, error: CreditError, lang: Language) -> list[Fault]:
    """Take an error apart.

    Parameters
    ----------
    book : Portfolio
        Whose words to use.
    error : CreditError
        Of a decision.
    lang : {"en", "fr"}
        The language.

    Returns
    -------
    list of Fault
        One for each violation of the contract, or one with the message of any other error.
    """
    if not isinstance(error, ContractError) or not error.violations:
        return [Fault("", "", "", "not accepted", "", str(error))]
    return [
        Fault(
            words.question(book, each.column, lang) if each.table == book.main else each.column,
            each.table,
            each.column,
            each.rule,
            ", ".join(each.values),
            words.fault(book, each, lang),
        )
        for each in error.violations
        if each.severity == "error"
    ]


def rules(error: CreditError) -> list[str]:
    """Name the rules that an error says are broken."""
    if isinstance(error, ContractError):
        return [each.rule for each in error.violations if each.severity == "error"]
    return ["not accepted"]
