"""Absolute addresses in bodies: scheme and host of the request, and its `?format=` (contract 1.10)."""

from urllib.parse import urlencode

from fastapi import Request

from api import queries

PREFIX = "/api/v2"


class Links:
    """Makes the addresses that one response needs."""

    def __init__(self, request: Request) -> None:
        self._root = f"{request.url.scheme}://{request.url.netloc}{PREFIX}"
        chosen = queries.last(request, "format")
        self._query = f"?{urlencode({'format': chosen})}" if chosen else ""

    def _to(self, path: str, item_id: int) -> str:
        return f"{self._root}/{path}/{item_id}/{self._query}"

    def job(self, job_id: int) -> str:
        return self._to("jobs", job_id)

    def project(self, project_id: int) -> str:
        return self._to("projects", project_id)

    def station(self, deployment_id: int) -> str:
        return self._to("deployments", deployment_id)

    def capture_set(self, collection_id: int) -> str:
        return self._to("captures/collections", collection_id)

    def captures_of_set(self, collection_id: int) -> str:
        return f"{self._root}/captures/?{urlencode({'collections': collection_id})}"

    def capture(self, image_id: int) -> str:
        return self._to("captures", image_id)

    def pipeline(self, pipeline_id: int) -> str:
        return self._to("ml/pipelines", pipeline_id)

    def user(self, user_id: int) -> str:
        return self._to("users", user_id)


def page_address(request: Request, limit: int, offset: int) -> str:
    """The address of another page of a list: every other parameter kept, sorted; no offset for the first."""
    parameters = {key: value for key, value in request.query_params.items() if key != "offset"}
    parameters["limit"] = str(limit)
    if offset > 0:
        parameters["offset"] = str(offset)
    return f"{request.url.replace(query='')}?{urlencode(sorted(parameters.items()))}"
