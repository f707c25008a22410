"""Which fold an applicant belongs to, for ever; knows nothing of rows but their key."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from credit.portfolio import Split

__all__ = ["FOLDS", "assign"]

FOLDS = ("train", "validation", "test")


def assign(keys: Iterable[Any], split: Split) -> NDArray[np.str_]:
    """Put each applicant in train, validation or test by a salted hash of the key alone.

    The fold depends on nothing else, so it stays when rows are added, removed or reordered, and a
    client tested today was never trained on by yesterday's champion.

    Parameters
    ----------
    keys : iterable of int or str, length n
        Client ids; ``7``, ``7.0`` and ``"7"`` are the same client.
    split : Split
        The salt and the three shares.

    Returns
    -------
    ndarray of str, shape (n,)
        "train", "validation" or "test".

    Notes
    -----
    With h the first 64 bits of SHA-256("salt:key"), u = h / 2**64 is uniform on [0, 1): train where
    u < train, validation where u < train + validation, test elsewhere.
    """
    shares = np.array([_uniform(split.salt, key) for key in keys])
    edges = [split.train, split.train + split.validation]
    return np.asarray(FOLDS)[np.searchsorted(edges, shares, side="right")]


def _uniform(salt: str, key: Any) -> float:
    if isinstance(key, float | np.floating) and float(key).is_integer():
        key = int(key)
    digest = hashlib.sha256(f"{salt}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
