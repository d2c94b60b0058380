"""CRUD: list, create, read, change and delete, which every noun of the API has alike.

A noun says how its rows are read, which fields a client may send, which filters its list has, and who may do what;
the rest is here once: order of checks, transactions, conditional requests, paging, errors.
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic import create_model

from api.crud import fields
from api.crud.changing import Changing
from api.crud.values import Permissions
from api.http import queries


def _page_of(schema: type) -> Any:
    """The envelope of a list of these."""
    return create_model(
        f"{schema.__name__}Page",
        count=(int, ...),
        next=(str | None, ...),
        previous=(str | None, ...),
        results=(list[schema], ...),  # type: ignore[valid-type]
        user_permissions=(Permissions, ...),
    )


class Resource(Changing):
    """One noun with its routes. Subclasses set the attributes, and override the methods where they differ."""

    def router(self) -> APIRouter:
        """The routes of the noun; those of its own actions are added by its module."""
        router = APIRouter(prefix=f"/{self.path}", tags=[self.many])
        page = _page_of(self.item_schema)
        if self.other_item_schema is not None:
            page = page | _page_of(self.other_item_schema)
        name, names = self.one.replace(" ", "_"), self.many.replace(" ", "_")
        detail = {"model": self.detail_schema}
        made = {"model": self.made_schema or self.detail_schema}
        routes: list[tuple[str, str, str, Callable[..., Any], str, int, Any]] = [
            ("list", "/", "GET", self.list, f"list_{names}", 200, {"model": page}),
            ("create", "/", "POST", self.create, f"create_{name}", 201, made),
            ("get", "/{item_id}/", "GET", self.get, f"get_{name}", 200, detail),
            ("replace", "/{item_id}/", "PUT", self.replace, f"replace_{name}", 200, detail),
            ("edit", "/{item_id}/", "PATCH", self.edit, f"edit_{name}", 200, detail),
            ("delete", "/{item_id}/", "DELETE", self.delete, f"delete_{name}", 204, {}),
        ]
        for operation, path, method, endpoint, operation_id, status, response in routes:
            if operation in self.operations:
                router.add_api_route(
                    path,
                    endpoint,
                    methods=[method],
                    operation_id=operation_id,
                    summary=self._summary(operation),
                    description=(getattr(type(self), operation).__doc__ or "").strip(),
                    status_code=status,
                    responses={status: {"description": "Done.", **response}},
                    response_model=None,
                    openapi_extra=self.openapi(operation),
                )
        return router

    def _summary(self, operation: str) -> str:
        noun = self.many if operation == "list" else f"a {self.one}"
        words = {"get": "Read", "list": "List", "replace": "Change", "edit": "Change part of"}
        return f"{words.get(operation, operation.capitalize())} {noun}"

    def openapi(self, operation: str) -> dict[str, Any]:
        said = queries.openapi(self.parameters.get(operation, ()))
        if operation == "list":
            said["parameters"] = [*self._list_parameters(), *said["parameters"]]
        if operation in ("create", "replace", "edit"):
            schema = fields.object_schema(self.fields, partial=operation == "edit")
            said["requestBody"] = fields.request_body(schema)
        return said

    def _list_parameters(self) -> list[dict[str, Any]]:
        found = [queries.parameter(name, each.schema()) for name, each in self.filters.items()]
        if self.orderings:
            text = "Comma list, `-` for descending: " + ", ".join(self.orderings)
            found.append(queries.parameter("ordering", {"type": "string"}, text))
        if self.searched:
            found.append(queries.parameter("search", {"type": "string"}, "Words, all of which must occur."))
        project = queries.parameter(
            "project_id", {"type": "integer", "minimum": 1}, required=self.needs_project
        )
        return [project, *found, *queries.PAGING_PARAMETERS]
