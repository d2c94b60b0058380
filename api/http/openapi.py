"""The OpenAPI document: what the routes say of themselves, and what holds for all of them said once.

Every operation gets the errors that it can be answered with, the headers that it takes, and an example of each body,
made from its schema; what makes a thing is linked with what can be done with it.
"""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.http.links import PREFIX

_DETAIL = {
    "type": "object",
    "properties": {"detail": {"type": "string"}},
    "required": ["detail"],
}
SCHEMAS: dict[str, Any] = {
    "Detail": {**_DETAIL, "description": "Why not."},
    "FieldErrors": {
        "type": "object",
        "additionalProperties": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "description": "Messages by field; those about all of it under `non_field_errors`.",
    },
    "Refusal": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1},
}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _error(description: str, example: Any, *schemas: str) -> dict[str, Any]:
    schema = (
        _reference(schemas[0]) if len(schemas) == 1 else {"anyOf": [_reference(name) for name in schemas]}
    )
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


ERRORS = {
    "400": _error(
        "Something sent does not fit: the field, and why.",
        {"name": ["This field is required."]},
        "FieldErrors",
        "Detail",
        "Refusal",
    ),
    "401": _error(
        "Nobody, or not who they say.", {"detail": "Authentication credentials were not provided."}, "Detail"
    ),
    "403": _error(
        "Not for this caller.", {"detail": "You do not have permission to perform this action."}, "Detail"
    ),
    "404": _error("No such thing, or none that the caller may see.", {"detail": "Not found."}, "Detail"),
    "405": _error("Method not allowed.", {"detail": 'Method "PUT" not allowed.'}, "Detail"),
    "406": _error(
        "The caller reads nothing that is written here.",
        {"detail": "Could not satisfy the request Accept header."},
        "Detail",
    ),
    "409": _error(
        "The same request, by its Idempotency-Key, is being worked on; or two wanted what only one can have.",
        {"detail": "A request with this Idempotency-Key is being worked on."},
        "Detail",
    ),
    "412": _error(
        "Changed meanwhile.",
        {"detail": "It was changed meanwhile: its ETag is not among those of If-Match."},
        "Detail",
    ),
    "413": _error(
        "Request body too large.",
        {"detail": "The request body is too large: at most 2621440 bytes."},
        "Detail",
    ),
    "415": _error(
        "Not a form that is read.", {"detail": 'Unsupported media type "text/plain" in request.'}, "Detail"
    ),
    "422": _error(
        "The Idempotency-Key came with another request.",
        {"detail": "This Idempotency-Key was used for another request."},
        "Detail",
    ),
    "429": _error(
        "Too many attempts.",
        {"detail": "Request was throttled. Expected available in 60 seconds."},
        "Detail",
    ),
    "503": _error("The database is out of reach.", {"detail": "The database cannot be reached."}, "Detail"),
}
READING = ("400", "401", "403", "404", "406", "503")
WRITING = (*READING, "409", "412", "413", "415")
POSTING = (*READING, "409", "412", "413", "415", "422")
# examples by the name of a property, else by its type
EXAMPLES: dict[str, Any] = {
    "id": 1146,
    "name": "Insectarium, End of every night",
    "email": "ecologist@example.org",
    "password": "correct horse battery staple",
    "status": "SUCCESS",
    "cause": "waiting_behind_others",
    "summary": "Waiting behind 12 jobs",
    "action_by": "nobody",
    "what": "jobs asked for earlier, not over yet",
    "key": "populate_captures_collection",
    "job_type_key": "populate_captures_collection",
    "delay": 0,
    "limit": None,
    "shuffle": True,
    "project": 1,
    "project_id": 1,
    "source_image_collection_id": 21,
    "method": "last_and_random_from_each_event",
    "kwargs": {"num_each": 0},
    "progress": 1.0,
    "duration": "1.817476",
    "timestamp": "2024-06-01T22:15:00",
    "path": "station-1/20240601221500.jpg",
    "url": "https://example.org/station-1/20240601221500.jpg",
    "details": "https://example.org/api/v2/jobs/1146/",
    "slug": "panama_moths_2024",
    "user_permissions": ["update", "run"],
    "latitude": 45.56,
    "longitude": -73.56,
    "auth_token": "0123456789abcdef0123456789abcdef01234567",
    "role": "ProjectManager",
    "role_id": "ProjectManager",
    "source_image": 48193680,
    "params": None,
    "secret_key": "********",
    "access_key": "********",
    "endpoint_url": "https://objects.example.org",
    "public_base_url": "https://objects.example.org/captures/",
    "data_source_regex": r".*\.jpe?g$",
}
_MAX_EXAMPLE_DEPTH = 9
_PARAMETER = re.compile(r"{(\w+)}")


def install(app: FastAPI) -> None:
    """Make the application's OpenAPI document the complete one."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _complete(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=app.description,
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas |= SCHEMAS
    made["components"]["securitySchemes"] = {
        "Token": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token <40 hex digits>`, from `auth/token/login/` or `users/me/tokens/`.",
        }
    }
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _complete_operation(path, method, operation, schemas)
    _link(made["paths"])
    return made


def _complete_operation(path: str, method: str, operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    if path.startswith(PREFIX):
        operation["security"] = [{"Token": []}, {}]
        usual = READING if method == "get" else POSTING if method == "post" else WRITING
        throttled = ("429",) if operation["operationId"] == "log_in" else ()
        for status in (*usual, *throttled):
            responses.setdefault(status, ERRORS[status])
        if method == "get":
            responses["304"] = {"description": "As it was: the ETag is among those of If-None-Match."}
        operation["parameters"] = [*operation.get("parameters", []), *_headers(method)]
    in_path = [_path_parameter(name) for name in _PARAMETER.findall(path)]
    others = [each for each in operation.get("parameters", []) if each["in"] != "path"]
    if in_path or others:
        operation["parameters"] = [*in_path, *others]
    for body in (operation.get("requestBody", {}), *responses.values()):
        for kind, content in body.get("content", {}).items():
            if "schema" in content and "example" not in content and kind == "application/json":
                content["example"] = example(content["schema"], schemas)


def _path_parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
    }


def _link(paths: dict[str, Any]) -> None:
    """Say of every operation that makes a thing what can be done with it by its id."""
    for path, operations in paths.items():
        made = operations.get("post", {}).get("responses", {}).get("201")
        if made is None:
            continue
        known = {name: f"$request.path.{name}" for name in _PARAMETER.findall(path)}
        for other, each in paths.items():
            names = _PARAMETER.findall(other.removeprefix(path))
            if other.startswith(f"{path}{{") and len(names) == 1:
                parameters = {**known, names[0]: "$response.body#/id"}
                for operation in each.values():
                    operation_id = operation["operationId"]
                    link = {"operationId": operation_id, "parameters": parameters}
                    made.setdefault("links", {})[operation_id] = link


def _headers(method: str) -> list[dict[str, Any]]:
    text = {"type": "string", "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"}
    found = {
        "get": [("If-None-Match", "An ETag: 304 if nothing has changed.")],
        "post": [
            ("Idempotency-Key", "The same key and request is answered the same, and done once, for 24 hours.")
        ],
    }.get(method, [("If-Match", "An ETag: 412 if it is another version by now.")])
    return [
        {"name": name, "in": "header", "required": False, "schema": text, "description": description}
        for name, description in found
    ]


def example(schema: dict[str, Any], schemas: dict[str, Any], name: str = "", depth: int = 0) -> Any:
    """A value that fits the schema."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas, name, depth)
    if "anyOf" in schema:
        return example(schema["anyOf"][0], schemas, name, depth)
    if "properties" in schema:
        properties = schema["properties"].items() if depth < _MAX_EXAMPLE_DEPTH else ()
        return {key: example(each, schemas, key, depth + 1) for key, each in properties}
    if name in EXAMPLES and _fits(EXAMPLES[name], schema.get("type")):
        return EXAMPLES[name]
    if schema.get("items"):
        return [example(schema["items"], schemas, name.removesuffix("s"), depth + 1)]
    return _plain(schema)


def _plain(schema: dict[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    if r"\d{4,}-\d\d-\d\d" in schema.get("pattern", ""):
        return "2025-01-21T23:25:00.817476" if "T" in schema["pattern"] else "2025-01-21"
    plain = {"integer": 1, "number": 1.0, "boolean": True, "string": "text", "object": {}, "array": []}
    return plain.get(schema.get("type", ""))


def _fits(value: Any, kind: Any) -> bool:
    kinds = {
        "integer": int,
        "number": int | float,
        "string": str,
        "array": list,
        "object": dict,
        "boolean": bool,
    }
    return kind not in kinds or (isinstance(value, kinds[kind]) and (kind == "boolean" or value is not True))
