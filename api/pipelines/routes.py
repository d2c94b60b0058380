"""Pipelines, algorithms and processing services: to be read (domain 1.3, 8)."""

from typing import Any

from api.crud.declaration import READ_ONLY
from api.crud.filters import TIMES, Exactly, Sort
from api.crud.resource import Resource
from api.crud.view import View
from api.pipelines import responses
from db import model_rows
from db.connections import Row


class Pipelines(Resource):
    """Pipelines: models in the order in which a capture goes through them."""

    path = "ml/pipelines"
    one = "pipeline"
    many = "pipelines"
    noun = "pipeline"
    listing = model_rows.PIPELINES
    item_schema = responses.Pipeline
    detail_schema = responses.Pipeline
    operations = READ_ONLY
    filters = {"slug": Exactly("t.slug")}
    orderings = {"name": Sort("t.name"), "version": Sort("t.version"), **TIMES}
    searched = ("t.name", "t.slug")

    def item(self, row: Row, view: View) -> Any:
        return responses.pipeline(row, view)


class Algorithms(Resource):
    """Algorithms: single models."""

    path = "ml/algorithms"
    one = "algorithm"
    many = "algorithms"
    noun = "algorithm"
    listing = model_rows.ALGORITHMS
    item_schema = responses.Algorithm
    detail_schema = responses.Algorithm
    operations = READ_ONLY
    filters = {"key": Exactly("t.key"), "task_type": Exactly("t.task_type")}
    orderings = {"name": Sort("t.name"), "version": Sort("t.version"), **TIMES}
    searched = ("t.name", "t.key")

    def item(self, row: Row, view: View) -> Any:
        return responses.algorithm(row, view)


class Services(Resource):
    """Processing services: who runs pipelines."""

    path = "ml/processing_services"
    one = "processing service"
    many = "processing services"
    noun = "processingservice"
    listing = model_rows.SERVICES
    item_schema = responses.Service
    detail_schema = responses.Service
    operations = READ_ONLY
    needs_project = True
    orderings = {"name": Sort("t.name"), **TIMES}
    searched = ("t.name",)

    def item(self, row: Row, view: View) -> Any:
        return responses.service(row, view)


resources = (Pipelines(), Algorithms(), Services())
routers = tuple(resource.router() for resource in resources)
