"""Exports: to be read (domain 8)."""

from typing import Any

from api.crud.declaration import READ_ONLY
from api.crud.filters import TIMES, Sort
from api.crud.resource import Resource
from api.crud.view import View
from api.exports import responses
from db import export_rows
from db.connections import Row


class Exports(Resource):
    """Exports: files of results."""

    path = "exports"
    one = "export"
    many = "exports"
    noun = "dataexport"
    listing = export_rows.EXPORTS
    item_schema = responses.Export
    detail_schema = responses.Export
    operations = READ_ONLY
    # no filter by `format`: in every address that is the format of the answer
    orderings = {"format": Sort("t.format"), **TIMES}

    def item(self, row: Row, view: View) -> Any:
        return responses.export(row, view)


resources = (Exports(),)
routers = tuple(resource.router() for resource in resources)
