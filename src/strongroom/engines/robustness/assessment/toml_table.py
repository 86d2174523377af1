"""A TOML table that is read to the end, so that nothing in a plan is passed over."""

from collections.abc import Iterator, Mapping
from typing import Any

from strongroom.errors import ValidationError

MAX_NAMES = 10_000
MAX_NUMBERS = 100


class TomlTable:
    """A TOML table that is read to the end: what nobody asked for is an error."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = dict(values)
        self.where = where

    def rest(self) -> Iterator[str]:
        """Names that were not asked for yet."""
        if len(self._values) > MAX_NAMES:
            raise ValidationError(f"{self.where} has more than {MAX_NAMES:,} names")
        yield from list(self._values)

    def word(self, name: str, default: str = "") -> str:
        """A text. Raises: ValidationError."""
        value = self._values.pop(name, default)
        if not isinstance(value, str) or len(value) > 1_000:
            raise self._wrong(name, "a text")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false. Raises: ValidationError."""
        value = self._values.pop(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number within bounds. Raises: ValidationError."""
        if name not in self._values:
            return default
        value = self._values.pop(name)
        if type(value) is not int or not low <= value <= high:
            raise self._wrong(name, f"a whole number, {low:,} to {high:,}")
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A number within bounds. Raises: ValidationError."""
        value = self._values.pop(name, default)
        if type(value) not in {int, float} or not low <= value <= high:
            raise self._wrong(name, f"a number, {low:g} to {high:g}")
        return float(value)

    def maybe(self, name: str) -> float | None:
        """A number, or None where there is none. Raises: ValidationError."""
        return self.number(name, 0.0, -1e30, 1e30) if name in self._values else None

    def numbers(self, name: str, low: float, high: float) -> tuple[float, ...]:
        """A list of numbers within bounds. Raises: ValidationError."""
        value = self._values.pop(name, [])
        if not isinstance(value, list) or len(value) > MAX_NUMBERS:
            raise self._wrong(name, "a list of numbers")
        if not all(type(one) in {int, float} and low <= one <= high for one in value):
            raise self._wrong(name, f"a list of numbers, {low:g} to {high:g}")
        return tuple(float(one) for one in value)

    def names(self, name: str) -> tuple[str, ...]:
        """A list of texts. Raises: ValidationError."""
        value = self._values.pop(name, [])
        if not isinstance(value, list) or len(value) > MAX_NAMES:
            raise self._wrong(name, "a list of texts")
        if not all(isinstance(one, str) and len(one) <= 1_000 for one in value):
            raise self._wrong(name, "a list of texts")
        return tuple(value)

    def table(self, name: str) -> "TomlTable":
        """A table; an empty one where there is none. Raises: ValidationError."""
        value = self._values.pop(name, {})
        if not isinstance(value, dict):
            raise self._wrong(name, "a table")
        return TomlTable(value, f"{self.where}, at `{name[:100]}`")

    def tables(self, name: str) -> list["TomlTable"]:
        """A list of tables. Raises: ValidationError."""
        value = self._values.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self._wrong(name, "a list of tables")
        return [
            TomlTable(one, f"{self.where}, at `{name}` {place}")
            for place, one in enumerate(value, 1)
        ]

    def end(self) -> None:
        """Refuse what was not asked for. Raises: ValidationError."""
        if self._values:
            raise ValidationError(f"{self.where}: nothing is called `{min(self._values)[:100]}`")

    def _wrong(self, name: str, wanted: str) -> ValidationError:
        return ValidationError(f"{self.where}: `{name[:100]}` is {wanted}")
