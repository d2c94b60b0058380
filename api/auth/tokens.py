"""API tokens: 160 random bits, of which only a hash is kept."""

import hashlib
import secrets


def new_token() -> tuple[str, str]:
    """A token as its user needs it, 40 hex digits, and the hash that is kept."""
    token = secrets.token_hex(20)
    return token, hash_token(token)


def hash_token(token: str) -> str:
    """SHA-256 in hex: random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()
