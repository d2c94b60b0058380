"""Fields of request bodies: each turns what a client sent into a value, or says why not (contract 1.6, 1.7)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from api.errors import Invalid

REQUIRED = "This field is required."
NULL = "This field may not be null."
BLANK = "This field may not be blank."
NUL = "Null characters are not allowed."

_SLUG = re.compile(r"^[-a-zA-Z0-9_]+\Z")
_INTEGER = re.compile(r"^\s*[-+]?\d+(\.0*)?\s*\Z")
# in JSON: after an even number of backslashes
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Refused(ValueError):
    """A value does not fit a field."""


@dataclass(frozen=True)
class Field:
    """What all fields have in common."""

    required: bool = False
    nullable: bool = False
    form_default: Any = None
    """What a form-encoded body means that leaves the field out; forms cannot send false. Null: nothing."""
    empty_is_null: ClassVar[bool] = False
    """Whether an empty text stands for null in JSON too; in forms it always does."""

    def parse(self, value: Any) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Text(Field):
    max_length: int | None = None
    blank: bool = False

    def parse(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Refused("Not a valid string.")
        text = str(value).strip()
        if "\x00" in text:
            raise Refused(NUL)
        if not text and not self.blank:
            raise Refused(BLANK)
        if self.max_length is not None and len(text) > self.max_length:
            raise Refused(f"Ensure this field has no more than {self.max_length} characters.")
        _encodable(text)
        return text


def _encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused("Not a valid string.") from error


@dataclass(frozen=True)
class Integer(Field):
    minimum: int = -(2**31)
    maximum: int = 2**31 - 1

    def parse(self, value: Any) -> int:
        if isinstance(value, str) and len(value) > 1000:
            raise Refused("String value too large.")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Refused("A valid integer is required.")
        if not _INTEGER.match(str(value)):
            raise Refused("A valid integer is required.")
        number = int(float(value)) if isinstance(value, float) else int(str(value).split(".")[0])
        if number > self.maximum:
            raise Refused(f"Ensure this value is less than or equal to {self.maximum}.")
        if number < self.minimum:
            raise Refused(f"Ensure this value is greater than or equal to {self.minimum}.")
        return number


@dataclass(frozen=True)
class Boolean(Field):
    def parse(self, value: Any) -> bool:
        word = value.lower() if isinstance(value, str) else value
        if isinstance(word, str | int | bool):
            if word in ("true", "t", "yes", "y", "on", "1", 1, True):
                return True
            if word in ("false", "f", "no", "n", "off", "0", 0, False):
                return False
        raise Refused("Must be a valid boolean.")


@dataclass(frozen=True)
class Reference(Field):
    """The id of a row; whether there is such a row, the database says."""

    empty_is_null: ClassVar[bool] = True

    def parse(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Refused(f"Incorrect type. Expected pk value, received {type(value).__name__}.")
        try:
            number = int(value)
        except ValueError as error:
            raise Refused(f"Incorrect type. Expected pk value, received {type(value).__name__}.") from error
        if not 0 < number < 2**63:
            raise Refused(does_not_exist(value))
        return number


def does_not_exist(value: Any) -> str:
    return f'Invalid pk "{value}" - object does not exist.'


@dataclass(frozen=True)
class Slug(Field):
    def parse(self, value: Any) -> str:
        text = Text(max_length=255).parse(value)
        if not _SLUG.match(text):
            raise Refused('Enter a valid "slug" consisting of letters, numbers, underscores or hyphens.')
        return text


@dataclass(frozen=True)
class Choice(Field):
    choices: Sequence[str] = ()

    def parse(self, value: Any) -> str:
        if isinstance(value, str) and value in self.choices:
            return value
        _encodable(str(value))
        raise Refused(f'"{value}" is not a valid choice.')


@dataclass(frozen=True)
class Document(Field):
    """A JSON object, such as a column can hold."""

    def parse(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Refused(f'Expected a dictionary of items but got type "{type(value).__name__}".')
        try:
            text = orjson.dumps(value)
        except orjson.JSONEncodeError as error:
            # lone surrogates, integers beyond 64 bits, hundreds of levels
            raise Refused("Value must be valid JSON.") from error
        if _NUL.search(text):
            raise Refused(NUL)
        return value


def parse(
    fields: Mapping[str, Field], body: Mapping[str, Any], *, partial: bool = False, form: bool = False
) -> dict[str, Any]:
    """The values that a body gives for the fields; raises Invalid with every message there is.

    Unknown and read-only keys are ignored. With `partial` (PATCH) nothing is required.
    """
    values: dict[str, Any] = {}
    messages: dict[str, list[str]] = {}
    for name, field in fields.items():
        try:
            if name not in body:
                if field.required and not partial:
                    raise Refused(REQUIRED)
                if form and not partial and field.form_default is not None:
                    values[name] = field.form_default
                continue
            values[name] = _parse_given(field, body[name], form=form)
        except Refused as refused:
            messages[name] = [str(refused)]
    if messages:
        raise Invalid(messages)
    return values


def _parse_given(field: Field, value: Any, *, form: bool) -> Any:
    if value is None or (value == "" and (field.empty_is_null or (form and field.nullable))):
        if field.nullable:
            return None
        raise Refused(NULL)
    return field.parse(value)
