"""TOML tables -> frozen dataclasses, every mistake noted; knows nothing of what the settings mean."""

import json
import tomllib
import types
import typing
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from re import fullmatch
from reprlib import repr as short
from typing import Any, Literal, Union, get_args, get_origin

from credit.errors import ConfigError

__all__ = ["KeyPath", "Reader", "hint", "parse"]

KeyPath = tuple[str, ...]

SCALARS: dict[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
}
UNIONS = (Union, types.UnionType)


def parse(file: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not UTF-8 or is not TOML.
    """
    try:
        return tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); give a TOML file.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 at byte {error.start}; save the file as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not TOML: {error}; mend the file there.") from error


def hint(word: str, known: Iterable[str]) -> str:
    """Say which known word a stray one resembles, or else what is known."""
    known = list(known)
    close = get_close_matches(word, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    more = f" and {len(known) - 8} more" if len(known) > 8 else ""
    return f"known: {', '.join(known[:8]) or 'none'}{more}."


class Reader:
    """Turns the tables of one file into dataclasses by their type hints, and notes what is wrong on the way.

    A field's key in the file is its name, or its metadata's "key" ("" keeps it out of the file). The parts of
    a field `label` stand side by side with the other keys. A dataclass in a table of tables takes its key as
    `name`. A blank stands in for a wrong value, so that reading can go on.

    Parameters
    ----------
    file : Path or str
        What the error names as the place of the problems.
    """

    def __init__(self, file: Path | str) -> None:
        self.file = file
        self.problems: dict[KeyPath, str] = {}

    def wrong(self, where: KeyPath, what: str) -> None:
        """Note a problem; a later one at the same key path, most often an echo of the first, is dropped."""
        self.problems.setdefault(where, what)

    def finish(self) -> None:
        """Raise all problems as one error, if there are any.

        Raises
        ------
        ConfigError
            One line a problem: key path, rule, value, remedy.
        """
        if self.problems:
            count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
            lines = [f"  {_path(where)}: {what}" for where, what in self.problems.items()]
            raise ConfigError("\n".join([f"{self.file}: {count}; mend and try again.", *lines]))

    def read(self, kind: Any, raw: Any, where: KeyPath = (), **given: Any) -> Any:
        """Build a dataclass from a TOML table.

        Parameters
        ----------
        kind : type
            The dataclass.
        raw : dict
            The table.
        where : tuple of str
            Its key path.
        **given
            Fields that do not come from the table.
        """
        if not isinstance(raw, dict):
            self.wrong(where, f"must be a table, not {short(raw)}.")
            return _blank(kind, **given)
        hints = typing.get_type_hints(kind)
        wanted = {_key(each): each for each in fields(kind) if each.name not in given and _key(each)}
        words = fields(hints["label"]) if wanted.pop("label", None) else ()
        values: dict[str, Any] = {}
        for key, each in wanted.items():
            if key in raw:
                values[each.name] = self.convert(hints[each.name], raw[key], (*where, key))
            elif _required(each):
                self.wrong((*where, key), f"missing; give {_wish(hints[each.name])}.")
                values[each.name] = _blank(hints[each.name])
        if words:
            parts = {word.name: raw[word.name] for word in words if word.name in raw}
            values["label"] = self.read(hints["label"], parts, where)
        keys = [*wanted, *(word.name for word in words)]
        for stray in sorted(raw.keys() - set(keys)):
            self.wrong((*where, stray), f"no such key; {hint(stray, keys)}")
        return kind(**values, **given)

    def convert(self, kind: Any, raw: Any, where: KeyPath) -> Any:
        """Turn a TOML value into what a type hint asks for."""
        origin, args = get_origin(kind), get_args(kind)
        if is_dataclass(kind):
            return self.read(kind, raw, where)
        if origin is tuple and isinstance(raw, list):
            return self._array(args, raw, where)
        if origin is dict and isinstance(raw, dict):
            return {key: self._entry(args[1], key, value, (*where, key)) for key, value in raw.items()}
        if kind is Any and isinstance(raw, dict):
            return self.convert(dict[str, Any], raw, where)
        if kind is Any and isinstance(raw, list):
            return list(self._array((Any, ...), raw, where))
        fit = _fit(kind, raw)
        if fit is None:
            self.wrong(where, f"must be {_wish(kind)}, not {short(raw)}{_near(kind, raw)}")
            return _blank(kind)
        return fit

    def _entry(self, kind: Any, key: str, raw: Any, where: KeyPath) -> Any:
        named = is_dataclass(kind) and any(each.name == "name" for each in fields(kind))
        return self.read(kind, raw, where, name=key) if named else self.convert(kind, raw, where)

    def _array(self, args: tuple[Any, ...], raw: list[Any], where: KeyPath) -> tuple[Any, ...]:
        kinds = args[:1] * len(raw) if args[-1] is Ellipsis else args
        if len(kinds) != len(raw):
            self.wrong(where, f"must have {len(kinds)} entries, not {short(raw)}.")
            return tuple(_blank(kind) for kind in kinds)
        pairs = enumerate(zip(kinds, raw, strict=True), start=1)
        return tuple(self.convert(kind, value, (*where, str(at))) for at, (kind, value) in pairs)


def _key(each: "Field[Any]") -> str:
    return str(each.metadata.get("key", each.name))


def _required(each: "Field[Any]") -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _path(where: KeyPath) -> str:
    """Join keys as TOML writes them: all but plain ones in quotes."""
    plain = r"[A-Za-z0-9_-]+"
    return ".".join(key if fullmatch(plain, key) else json.dumps(key, ensure_ascii=False) for key in where)


def _fit(kind: Any, raw: Any) -> Any:
    """Return the value as a scalar type, a choice or a union of them has it; None if it does not fit."""
    if get_origin(kind) is Literal:
        return raw if any(raw == choice and type(raw) is type(choice) for choice in get_args(kind)) else None
    if kind is Any or get_origin(kind) in UNIONS:
        fits = (_fit(each, raw) for each in get_args(kind) or (str, bool, int, float))
        return next((fit for fit in fits if fit is not None), None)
    if kind is float and type(raw) in (int, float) and abs(raw) < 1e300:
        return float(raw)
    return raw if type(raw) is kind and kind is not float else None


def _wish(kind: Any) -> str:
    """Say what a type hint asks for."""
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return "text, a finite number, true or false"
    if origin is Literal:
        return "one of " + ", ".join(repr(choice) for choice in args)
    if origin in UNIONS:
        return " or ".join(_wish(each) for each in args if each is not types.NoneType)
    return SCALARS.get(kind, "an array" if origin is tuple else "a table")


def _near(kind: Any, raw: Any) -> str:
    choices = [choice for choice in get_args(kind) if isinstance(choice, str)]
    close = get_close_matches(raw, choices, n=1) if isinstance(raw, str) else []
    return f"; did you mean {close[0]!r}?" if close else "."


def _blank(kind: Any, **given: Any) -> Any:
    """Return what stands in for a value that is wrong or missing."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return args[0]
    if origin in UNIONS:
        return None if types.NoneType in args else _blank(args[0])
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        needed = [each.name for each in fields(kind) if _required(each) and each.name not in given]
        return kind(**{name: _blank(hints[name]) for name in needed}, **given)  # type: ignore[operator]
    return None if kind is Any else (origin or kind)()
