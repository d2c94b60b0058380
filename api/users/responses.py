"""Users, roles and tokens as the API says them (contract 1.9, domain 8)."""

from typing import Any

from typing_extensions import TypedDict

from api.crud.values import Permissions, Time
from api.crud.view import View
from db.connections import Row


class Me(TypedDict):
    id: int
    name: str
    details: str
    image: str | None
    identifications: list[Any]
    email: str
    user_permissions: Permissions


class MadeUser(TypedDict):
    email: str
    id: int


class RoleDescription(TypedDict):
    id: str
    name: str
    description: str


class Token(TypedDict):
    """A token by name; what it is was told once, when it was made."""

    id: int
    name: str
    created_at: Time


class MadeToken(TypedDict):
    id: int
    name: str
    created_at: Time
    auth_token: str


class AuthToken(TypedDict):
    auth_token: str


def user(row: Row, view: View) -> Me:
    return {
        "id": row["id"],
        "name": row["name"],
        "details": view.links.to("users", row["id"]),
        "image": row["image"],
        "identifications": [],
        "email": row["email"],
        "user_permissions": [],
    }


def token(row: Row, view: View) -> Token:
    return {"id": row["id"], "name": row["name"], "created_at": row["created_at"]}
