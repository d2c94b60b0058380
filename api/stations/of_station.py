"""What belongs to a station, and by it to a project: sessions and captures."""

from typing import Any

from api.crud import fields
from api.crud.request_context import RequestContext
from api.crud.resource import Resource
from api.http.errors import Invalid
from db import station_rows
from db.connections import Connection


class OfStation(Resource):
    """What belongs to a station, and by it to a project."""

    named_by = {"project_id": "deployment_id"}

    async def check_references(
        self, db: Connection, context: RequestContext, values: Any, project_id: int | None
    ) -> None:
        """The project of a new one is that of its station; later it stays within that project."""
        station_id = values.get("deployment_id")
        if context.request.method == "POST":
            project_id = await station_rows.project_of(db, context.viewer, station_id)
            if project_id is None:
                raise Invalid({"deployment_id": [fields.does_not_exist(station_id)]})
            values["project_id"] = project_id
        await super().check_references(db, context, values, project_id)

    async def check_may_create(self, context: RequestContext, values: Any, project_id: int | None) -> None:
        await super().check_may_create(context, values, values["project_id"])
