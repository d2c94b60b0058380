"""Fields of request bodies: each turns what a client sent into a value, or says why not (contract 1.6, 1.7)."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime
from typing import Any, ClassVar

import orjson

from api.http.errors import Invalid
from storage import patterns
from storage.patterns import InvalidRegex, Pattern

REQUIRED = "This field is required."
NULL = "This field may not be null."
BLANK = "This field may not be blank."
NUL = "Null characters are not allowed."

_SLUG = re.compile(r"^[-a-zA-Z0-9_]+\Z")
_INTEGER = re.compile(r"^\s*[-+]?\d+(\.0*)?\s*\Z")
_MOMENT = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?\Z")
_URL = re.compile(r"^https?://[^\s/?#@]+(:\d+)?([/?#]\S*)?\Z", re.IGNORECASE)
_FOLDER = re.compile(r"^file:///[^\x00?#]*\Z")
_EMAIL = re.compile(r"^[^\s@]+@[^\s@]+\.[^\s@.]+\Z")
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
    label: str = ""
    """What OPTIONS calls it; made from its name if empty."""
    help_text: str = ""
    empty_is_null: ClassVar[bool] = False
    """Whether an empty text stands for null in JSON too; in forms it always does."""
    kind: ClassVar[str] = "field"
    """What OPTIONS says of its type (Django REST framework's words)."""

    def parse(self, value: Any) -> Any:
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """What OpenAPI says of the value."""
        return {}


@dataclass(frozen=True)
class Text(Field):
    max_length: int | None = None
    blank: bool = False
    kind: ClassVar[str] = "string"

    def schema(self) -> dict[str, Any]:
        longest = {} if self.max_length is None else {"maxLength": self.max_length}
        return {"type": "string", **longest, **({} if self.blank else {"minLength": 1})}

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


def _check_bounds(number: float, minimum: float, maximum: float) -> None:
    if number > maximum:
        raise Refused(f"Ensure this value is less than or equal to {maximum}.")
    if number < minimum:
        raise Refused(f"Ensure this value is greater than or equal to {minimum}.")


@dataclass(frozen=True)
class Integer(Field):
    minimum: int = -(2**31)
    maximum: int = 2**31 - 1
    kind: ClassVar[str] = "integer"

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}

    def parse(self, value: Any) -> int:
        if isinstance(value, str) and len(value) > 1000:
            raise Refused("String value too large.")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Refused("A valid integer is required.")
        if not _INTEGER.match(str(value)):
            raise Refused("A valid integer is required.")
        number = int(float(value)) if isinstance(value, float) else int(str(value).split(".")[0])
        _check_bounds(number, self.minimum, self.maximum)
        return number


@dataclass(frozen=True)
class Number(Field):
    minimum: float = -1.0e308
    maximum: float = 1.0e308
    kind: ClassVar[str] = "float"

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": self.minimum, "maximum": self.maximum}

    def parse(self, value: Any) -> float:
        if isinstance(value, str) and len(value) > 1000:
            raise Refused("String value too large.")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Refused("A valid number is required.")
        try:
            number = float(value)
        except (ValueError, OverflowError) as error:
            raise Refused("A valid number is required.") from error
        if not math.isfinite(number):
            raise Refused("A valid number is required.")
        _check_bounds(number, self.minimum, self.maximum)
        return number


@dataclass(frozen=True)
class Moment(Field):
    """A time by the clock of a station: ISO 8601, without a zone."""

    kind: ClassVar[str] = "datetime"

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "examples": ["2024-06-01T22:15:00"]}

    def parse(self, value: Any) -> datetime:
        wrong = "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]]."
        if not isinstance(value, str) or not _MOMENT.match(value):
            raise Refused(wrong)
        try:
            return datetime.fromisoformat(value)
        except ValueError as error:
            raise Refused(wrong) from error


@dataclass(frozen=True)
class Boolean(Field):
    kind: ClassVar[str] = "boolean"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

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
    """The id of a row of `table`; whether there is such a row, the database says."""

    table: str = ""
    empty_is_null: ClassVar[bool] = True

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": 1}

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
    kind: ClassVar[str] = "slug"

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[-a-zA-Z0-9_]+$", "maxLength": 255}

    def parse(self, value: Any) -> str:
        text = Text(max_length=255).parse(value)
        if not _SLUG.match(text):
            raise Refused('Enter a valid "slug" consisting of letters, numbers, underscores or hyphens.')
        return text


@dataclass(frozen=True)
class Choice(Field):
    choices: Sequence[str] = ()
    kind: ClassVar[str] = "choice"

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.choices)}

    def parse(self, value: Any) -> str:
        if isinstance(value, str) and value in self.choices:
            return value
        _encodable(str(value))
        raise Refused(f'"{value}" is not a valid choice.')


@dataclass(frozen=True)
class Document(Field):
    """A JSON object, such as a column can hold."""

    def schema(self) -> dict[str, Any]:
        return {"type": "object"}

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


@dataclass(frozen=True)
class Url(Text):
    """An http or https address."""

    kind: ClassVar[str] = "url"

    def parse(self, value: Any) -> str:
        text = super().parse(value)
        if text and not _URL.match(text):
            raise Refused("Enter a valid URL.")
        return text


@dataclass(frozen=True)
class StoreAddress(Url):
    """Where a store answers: an http or https address, or a folder of the server's as `file:///…`."""

    def parse(self, value: Any) -> str:
        text = Text.parse(self, value)
        return text if _FOLDER.match(text) else super().parse(value)


@dataclass(frozen=True)
class Email(Text):
    kind: ClassVar[str] = "email"

    def parse(self, value: Any) -> str:
        text = super().parse(value).lower()
        if not _EMAIL.match(text):
            raise Refused("Enter a valid email address.")
        return text


@dataclass(frozen=True)
class Regex(Text):
    """A regular expression that can be used. Parsing it compiles it: see `parse_apart`."""

    def schema(self) -> dict[str, Any]:
        about = "A regular expression in the syntax of RE2, sought anywhere in an object's key."
        return {**super().schema(), "description": about}

    def parse(self, value: Any) -> str:
        text = super().parse(value)
        try:
            Pattern(text)
        except InvalidRegex as error:
            raise Refused(f"Not a valid regular expression: {error.reason}.") from error
        return text


@dataclass(frozen=True)
class Group(Field):
    """Several fields in an object of their own; what is left out stays as it is."""

    fields: Mapping[str, Field] = dataclass_field(default_factory=dict)
    kind: ClassVar[str] = "nested object"

    def schema(self) -> dict[str, Any]:
        return object_schema(self.fields)

    def parse(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Refused(f"Invalid data. Expected a dictionary, but got {type(value).__name__}.")
        try:
            return parse(self.fields, value, partial=True)
        except Invalid as error:
            raise Refused("; ".join(f"{name}: {each[0]}" for name, each in error.messages.items())) from error


def object_schema(fields: Mapping[str, Field], *, partial: bool = False) -> dict[str, Any]:
    """What OpenAPI says of a body with these fields."""
    properties = {}
    for name, field in fields.items():
        schema = field.schema()
        if field.nullable:
            schema = {"anyOf": [schema, {"type": "null"}]}
        properties[name] = {**schema, **({"description": field.help_text} if field.help_text else {})}
    required = [name for name, field in fields.items() if field.required and not partial]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def request_body(schema: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI says of a body in the three forms that are read (contract 1.6)."""
    kinds = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
    return {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}


def parse(
    fields: Mapping[str, Field], body: Mapping[str, Any], *, partial: bool = False, form: bool = False
) -> dict[str, Any]:
    """The values of the fields in a body; raises Invalid with every message there is.

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


async def parse_apart(
    fields: Mapping[str, Field], body: Mapping[str, Any], *, partial: bool = False, form: bool = False
) -> dict[str, Any]:
    """The same, in a thread if a regular expression is given, which takes a while to be compiled."""

    def parsed() -> dict[str, Any]:
        return parse(fields, body, partial=partial, form=form)

    given = any(isinstance(field, Regex) and body.get(name) for name, field in fields.items())
    return await patterns.compiling(parsed) if given else parsed()


def _parse_given(field: Field, value: Any, *, form: bool) -> Any:
    if value is None or (value == "" and (field.empty_is_null or (form and field.nullable))):
        if field.nullable:
            return None
        raise Refused(NULL)
    return field.parse(value)
