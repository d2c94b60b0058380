"""Files of captures that lie in folders of this machine, for whoever has a signed address of one (domain 1.2)."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import FileResponse

from api.auth.signed_files import GOOD_FOR
from api.http.errors import NotFound, PermissionDenied
from api.http.links import FILES
from api.http.queries import last
from api.platform import Platform
from db import capture_rows
from storage.sources import Source, StorageError

HEADERS = {
    # a picture is never run, whatever is in it
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": f"private, max-age={int(GOOD_FOR.total_seconds())}",
}

router = APIRouter(tags=["captures"])


def platform_of(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


@router.api_route(
    f"{FILES}/{{capture_id}}", methods=["GET", "HEAD"], include_in_schema=False, response_model=None
)
async def get_file(
    capture_id: int, request: Request, platform: Annotated[Platform, Depends(platform_of)]
) -> Response:
    """The file of a capture; what is in the query says that its address was given by us."""
    signer = platform.signer
    if signer is None or not signer.is_good(capture_id, last(request, "expires"), last(request, "signature")):
        raise PermissionDenied("This address has expired, or was never good.")
    async with platform.database.autocommit() as db:
        stored = await capture_rows.stored(db, capture_id)
    source = None if stored is None or stored["source"] is None else Source(**stored["source"])
    if stored is None or source is None or not source.is_folder:
        raise NotFound
    try:
        path, kind = await asyncio.to_thread(platform.stores.folders.picture, source, stored["path"])
    except (StorageError, OSError) as error:
        raise NotFound from error
    return FileResponse(path, media_type=kind, headers=HEADERS)
