"""The OpenAPI document and a page that shows it, without anything from outside this machine."""

from pathlib import Path

import fastapi_offline
from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.staticfiles import StaticFiles

from api.http.links import PREFIX
from api.http.responses import json_response

SCHEMA = f"{PREFIX}/schema/"
DOCS = f"{PREFIX}/docs/"
FILES = f"{DOCS}files"


def install(app: FastAPI) -> None:
    """Serve both, and the scripts of the page."""

    async def schema(request: Request) -> Response:
        return json_response(app.openapi())

    async def page(request: Request) -> Response:
        return get_swagger_ui_html(
            openapi_url=SCHEMA,
            title=f"{app.title} API",
            swagger_js_url=f"{FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{FILES}/swagger-ui.css",
            swagger_favicon_url=f"{FILES}/favicon.png",
        )

    for path, endpoint in ((SCHEMA, schema), (DOCS, page)):
        # both slash forms, as everywhere
        app.add_route(path, endpoint, include_in_schema=False)
        app.add_route(path.rstrip("/"), endpoint, include_in_schema=False)
    static = Path(fastapi_offline.__file__).parent / "static"
    app.mount(FILES, StaticFiles(directory=static), name="docs files")
