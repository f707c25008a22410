"""How many threads a task may use, so that tasks side by side never exceed the cores; knows no library."""

__all__ = ["available", "share"]


def available() -> int:
    """Count the cores that this process may use: affinity and container limits included."""
    import joblib  # noqa: PLC0415 (with numpy; whoever only hands the count on does without)

    return int(joblib.cpu_count())


def share(parallel: int) -> int:
    """Return the threads of one of `parallel` tasks that run at once; at least 1."""
    return max(1, available() // max(1, parallel))
