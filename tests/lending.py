"""The shop of `learning` with history: loans of a client and months of a loan, for tests of what is made of it."""

import numpy as np
import pandas as pd
from learning import HEAD, shop

from credit.portfolio import Portfolio

TABLES = """
[tables.loan]
en = "Loans"
fr = "Prêts"
files = ["loans"]
key = ["loan"]
parent = "sale"
parent_key = "client"
time = "days"

[tables.loan.columns]
loan = { en = "Loan", fr = "Prêt", type = "integer" }
client = { en = "Client", fr = "Client", type = "integer" }
days = { en = "Days", fr = "Jours", type = "number", unit = "days" }
paid = { en = "Paid", fr = "Payé", type = "number", unit = "currency" }
due = { en = "Due", fr = "Dû", type = "number", unit = "currency" }
state = { en = "State", fr = "État", type = "category" }

[tables.month]
en = "Months of loans"
fr = "Mois des prêts"
files = ["months"]
key = ["loan", "month"]
parent = "loan"
parent_key = "loan"
time = "month"

[tables.month.columns]
loan = { en = "Loan", fr = "Prêt", type = "integer" }
month = { en = "Month", fr = "Mois", type = "integer", unit = "months" }
late = { en = "Late", fr = "Retard", type = "number", unit = "days" }
"""
SCHEMAS = {
    "sale": {"client": "int64", "amount": "float64"},
    "loan": {
        "loan": "int64",
        "client": "int64",
        "days": "float64",
        "paid": "float64",
        "due": "float64",
        "state": "string",
    },
    "month": {"loan": "int64", "month": "float64", "late": "float64"},
}


def lender() -> Portfolio:
    """Load the book."""
    return shop(HEAD.replace("[tables.sale]", TABLES + "\n[tables.sale]"))


def drawn(clients: int = 200, loans: int = 4000) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw loans, and months of them; some months belong to no loan."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "loan": rng.permutation(loans),
            "client": rng.integers(0, clients, loans),
            "days": -rng.integers(0, 1500, loans).astype(float),
            "paid": rng.gamma(1, 1e5, loans).round(3),
            "due": rng.gamma(1, 1e5, loans).round(3),
            "state": rng.choice(["open", "closed"], loans),
        }
    )
    months = pd.DataFrame(
        {
            "loan": rng.integers(0, loans + 50, loans * 5),
            "month": -rng.integers(0, 60, loans * 5).astype(float),
            "late": rng.integers(0, 90, loans * 5).astype(float),
        }
    )
    return table, months
