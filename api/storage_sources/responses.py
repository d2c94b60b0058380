"""Storage sources as the API says them, and what a test of one finds (domain 1.2, 3.6, 8)."""

from typing_extensions import TypedDict

from api.auth import permissions
from api.crud.values import Permissions, Time, file_size
from api.crud.view import View
from db.connections import Row
from storage import places as storage_places
from storage.probing import Probe


class Storage(TypedDict):
    """Its keys are taken, and never given."""

    id: int
    details: str
    name: str
    bucket: str
    prefix: str
    endpoint_url: str | None
    public_base_url: str | None
    project: int
    deployments_count: int
    total_files_indexed: int | None
    total_size_indexed_display: str
    total_size_indexed: int | None
    total_captures_indexed: int | None
    last_checked: Time | None
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


def storage(row: Row, view: View) -> Storage:
    held = permissions.of(view.user, "s3storagesource", row["project_id"], "test")
    # where a folder lies on the server is for those who say so
    hidden = (row["endpoint_url"] or "").startswith(storage_places.FOLDER) and "update" not in held
    return {
        "id": row["id"],
        "details": view.links.to("storage", row["id"]),
        "name": row["name"],
        "bucket": row["bucket"],
        "prefix": row["prefix"],
        "endpoint_url": None if hidden else row["endpoint_url"],
        "public_base_url": row["public_base_url"],
        "project": row["project_id"],
        "deployments_count": row["deployments_count"],
        "total_files_indexed": row["files"],
        "total_size_indexed_display": file_size(row["size"]),
        "total_size_indexed": row["size"],
        "total_captures_indexed": row["captures"],
        "last_checked": row["last_checked"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_permissions": held,
    }


class StorageTested(TypedDict):
    connection_successful: bool
    prefix_exists: bool
    latency: float
    total_time: float
    error_code: str | None
    error_message: str | None
    files_checked: int
    first_file_found: str | None
    full_uri: str


def storage_tested(found: Probe, url: str | None) -> StorageTested:
    """A store that answers is reached, also if there is nothing where captures should be (domain 3.6)."""
    code = message = None
    if found.first is None:
        code = "NoMatchingFilesFound" if found.checked else "NoFilesFound"
        message = (
            f"None of the {found.checked} files looked at is a capture" if found.checked else "No files found"
        )
    return {
        "connection_successful": True,
        "prefix_exists": found.first is not None,
        "latency": found.latency,
        "total_time": found.total_time,
        "error_code": code,
        "error_message": message,
        "files_checked": found.checked,
        "first_file_found": url,
        "full_uri": found.full_uri,
    }
