"""Addresses of captures in folders of this machine: signed, for whoever has them, and good for a week.

Programs that process captures fetch them without a token. Buckets sign such addresses themselves; for folders we do.
"""

import hashlib
import hmac
import time
from datetime import timedelta
from urllib.parse import urlencode

GOOD_FOR = timedelta(days=7)
MIN_KEY_LENGTH = 32
_DAY = 86_400


class Signer:
    """Signs and checks with one secret."""

    def __init__(self, key: str) -> None:
        if len(key) < MIN_KEY_LENGTH:
            raise ValueError(f"NIGHTJAR_SIGNING_KEY needs {MIN_KEY_LENGTH} characters or more")
        self._key = key.encode()

    def query(self, capture_id: int) -> str:
        """What makes an address good for a week at least; the same all day, so that what was fetched can be kept."""
        expires = (int(time.time()) // _DAY + 1 + GOOD_FOR.days) * _DAY
        return urlencode({"expires": expires, "signature": self._signature(capture_id, expires)})

    def is_good(self, capture_id: int, expires: str | None, signature: str | None) -> bool:
        """Whether it was signed here and has not expired."""
        if expires is None or signature is None or not (expires.isascii() and expires.isdecimal()):
            return False
        if len(expires) > 12 or not signature.isascii():
            return False
        signed = hmac.compare_digest(self._signature(capture_id, int(expires)), signature)
        return signed and int(expires) > time.time()

    def _signature(self, capture_id: int, expires: int) -> str:
        return hmac.new(
            self._key, f"capture {capture_id} until {expires}".encode(), hashlib.sha256
        ).hexdigest()
