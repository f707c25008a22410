"""A file's tables become dataclasses exactly, or every mistake is named at once, where it is."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from credit.errors import ConfigError
from credit.settings import Reader, hint, parse


@dataclass(frozen=True)
class Words:
    en: str
    fr: str


@dataclass(frozen=True)
class Part:
    name: str
    label: Words
    size: float = 1.0


@dataclass(frozen=True)
class Whole:
    count: int
    colour: Literal["red", "green"] = "red"
    limit: float | None = None
    pair: tuple[float, float] = (0.0, 1.0)
    marks: tuple[str | float, ...] = ()
    parts: dict[str, Part] = field(default_factory=dict)
    free: dict[str, Any] = field(default_factory=dict)
    low: float | None = field(default=None, metadata={"key": "min"})
    hidden: str = field(default="", metadata={"key": ""})


def problems(raw: dict[str, Any]) -> list[str]:
    reader = Reader("book.toml")
    reader.read(Whole, raw)
    with pytest.raises(ConfigError) as caught:
        reader.finish()
    return str(caught.value).splitlines()


def test_tables_become_dataclasses() -> None:
    raw = {
        "count": 3,
        "colour": "green",
        "limit": 2,
        "pair": [1, 2.5],
        "marks": ["x", 7],
        "parts": {"a b": {"en": "one", "fr": "un", "size": 4}},
        "free": {"deep": [{"x": True}, 1.5]},
        "min": -1,
    }
    reader = Reader("book.toml")
    whole = reader.read(Whole, raw)
    reader.finish()
    part = Part("a b", Words("one", "un"), 4.0)
    assert whole == Whole(3, "green", 2.0, (1.0, 2.5), ("x", 7.0), {"a b": part}, raw["free"], low=-1.0)
    assert type(whole.limit) is float, "2 and 2.0 are the same number, so they must give the same digest"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": "3"}, "count: must be a whole number, not '3'."),
        ({"count": True}, "count: must be a whole number, not True."),
        ({"count": 3.0}, "count: must be a whole number, not 3.0."),
        ({"colour": "gren"}, "colour: must be one of 'red', 'green', not 'gren'; did you mean 'green'?"),
        ({"colour": 1}, "colour: must be one of 'red', 'green', not 1."),
        ({"limit": float("nan")}, "limit: must be a finite number, not nan."),
        ({"limit": float("inf")}, "limit: must be a finite number, not inf."),
        ({"limit": 10**400}, "limit: must be a finite number"),
        ({"pair": [1.0]}, "pair: must have 2 entries, not [1.0]."),
        ({"pair": 1.0}, "pair: must be an array, not 1.0."),
        ({"pair": ["a", 1.0]}, "pair.1: must be a finite number, not 'a'."),
        ({"marks": [True]}, "marks.1: must be text or a finite number, not True."),
        ({"parts": []}, "parts: must be a table, not []."),
        ({"parts": {"a": 5}}, "parts.a: must be a table, not 5."),
        ({"parts": {"a b": {"en": "one"}}}, 'parts."a b".fr: missing; give text.'),
        ({"parts": {"a": {"en": "x", "fr": "x", "name": "b"}}}, "parts.a.name: no such key"),
        ({"free": {"when": object}}, "free.when: must be text, a finite number, true or false"),
        ({"cuont": 1}, "cuont: no such key; did you mean 'count'?"),
        ({"low": 1}, "low: no such key; known: count, colour, limit, pair, marks, parts, free, min."),
        ({"hidden": "x"}, "hidden: no such key"),
    ],
)
def test_each_mistake_is_named(change: dict[str, Any], message: str) -> None:
    first, line = problems({"count": 1} | change)
    assert first == "book.toml: 1 problem; mend and try again."
    assert line.strip().startswith(message)


def test_all_mistakes_are_told_at_once() -> None:
    """A user mends a file once, not once for each mistake; and one mistake must not be told twice."""
    lines = problems({"colour": "blue", "limit": "x", "extra": 1})
    assert lines[0].startswith("book.toml: 4 problems")
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["count", "colour", "limit", "extra"]


def test_the_first_of_two_problems_at_one_place_stays() -> None:
    reader = Reader("book.toml")
    reader.wrong(("a",), "first.")
    reader.wrong(("a",), "second.")
    with pytest.raises(ConfigError, match=r"a: first\.$"):
        reader.finish()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = ", "not TOML: Invalid value"),
        (b"a = 1\na = 2\nb = 3", "Cannot overwrite a value (at line 2"),
        (b"a = '\xff'", "not UTF-8 at byte 5; save the file as UTF-8."),
    ],
)
def test_unreadable_files(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "book.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=str(file)) as caught:
        parse(file)
    assert message in str(caught.value)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        parse(tmp_path)


def test_hints() -> None:
    assert hint("incom", ["income", "age"]) == "did you mean 'income'?"
    assert hint("zzz", ["income", "age"]) == "known: income, age."
    assert hint("zzz", []) == "known: none."
    assert hint("zzz", map(str, range(20))) == "known: 0, 1, 2, 3, 4, 5, 6, 7 and 12 more."
