"""What OPTIONS answers: the forms that are read and written, and the fields that can be sent (contract 1.10)."""

import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any, Union

from fastapi import Request, Response
from typing_extensions import get_type_hints, is_typeddict

from api.crud.fields import Choice, Field, Integer, Text
from api.crud.request_context import context_of
from api.crud.resource import Resource
from api.crud.values import LocalTime, Time
from api.http.addresses import Address
from api.http.responses import json_response

RENDERS = ["application/json", "text/html"]
PARSES = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
_KINDS: dict[Any, str] = {int: "integer", str: "string", bool: "boolean", float: "float"}


class Descriptions:
    """Answers OPTIONS for every address."""

    def __init__(self, resources: list[Resource]) -> None:
        self._lists = {f"/{resource.path}/": resource for resource in resources}
        self._items = {f"/{resource.path}/{{item_id}}/": resource for resource in resources}

    async def __call__(self, request: Request, address: Address) -> Response:
        context = await context_of(request)
        resource = self._lists.get(address.path) or self._items.get(address.path)
        of_list = address.path in self._lists
        body: dict[str, Any] = {
            "name": _name(resource, address.path, of_list),
            "description": "" if resource is None else _description(resource),
            "renders": RENDERS,
            "parses": PARSES,
        }
        method = "POST" if of_list else "PUT"
        if resource is not None and method in address.allow and context.user is not None:
            body["actions"] = {method: _fields(resource)}
        return json_response(body)


def _name(resource: Resource | None, path: str, of_list: bool) -> str:
    if resource is None:
        words = [word for word in path.split("/") if word and "{" not in word]
        return words[-1].replace("-", " ").capitalize() if words else "Api Root"
    return f"{resource.one.title()} {'List' if of_list else 'Instance'}"


def _description(resource: Resource) -> str:
    own = inspect.cleandoc(type(resource).__doc__ or "")
    return own or f"{resource.many.capitalize()} that the caller may see."


def _fields(resource: Resource) -> dict[str, Any]:
    """Every field: those that are read in the order of an answer, each followed by those that set it."""
    found: dict[str, Any] = {}
    writable = dict(resource.fields)
    for name, kind in get_type_hints(resource.detail_schema, include_extras=True).items():
        if name == "user_permissions":
            continue
        own = writable.pop(name, None)
        found[name] = _written(name, own) if own else _read(name, kind)
        for other in [other for other in writable if other in (f"{name}_id", f"{name}_key")]:
            found[other] = _written(other, writable.pop(other))
    return {**found, **{name: _written(name, field) for name, field in writable.items()}}


def _written(name: str, field: Field) -> dict[str, Any]:
    said: dict[str, Any] = {
        "type": field.kind,
        "required": field.required,
        "read_only": False,
        "label": field.label or _label(name),
    }
    if field.help_text:
        said["help_text"] = field.help_text
    if isinstance(field, Text) and field.max_length is not None:
        said["max_length"] = field.max_length
    if isinstance(field, Integer):
        said |= {"min_value": field.minimum, "max_value": field.maximum}
    if isinstance(field, Choice):
        said["choices"] = [{"value": choice, "display_name": choice} for choice in field.choices]
    return said


def _read(name: str, kind: Any) -> dict[str, Any]:
    kind = _not_null(kind)
    said = {"type": "field", "required": False, "read_only": True, "label": _label(name)}
    if kind in (Time, LocalTime):
        said["type"] = "datetime"
    elif is_typeddict(kind):
        children: Mapping[str, Any] = get_type_hints(kind, include_extras=True)
        said["type"] = "nested object"
        said["children"] = {
            child: _read(child, each) for child, each in children.items() if child != "user_permissions"
        }
    elif kind in _KINDS and name != "details":
        said["type"] = _KINDS[kind]
    return said


def _not_null(kind: Any) -> Any:
    if typing.get_origin(kind) in (Union, types.UnionType):
        return next(each for each in typing.get_args(kind) if each is not type(None))
    return kind


def _label(name: str) -> str:
    return name.replace("_", " ").strip().capitalize()
