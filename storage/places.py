"""Where in a storage source the captures of a station lie, and which objects there are captures (domain 3.3)."""

from dataclasses import dataclass
from urllib.parse import quote

import regex

FOLDER = "file://"
"""How the address of a source begins whose bucket is a folder of this machine."""

ENDINGS = ("jpg", "jpeg", "png", "gif", "webp", "svg", "bmp", "ico", "tiff", "tif")
"""How the names of pictures end, in any case; a dot before is not needed."""

LONGEST_SEARCH = 0.2
"""Seconds that an expression may search one key: there are some that would take years."""

_IN_PATHS = "/!$&'()*+,;=:@~"

LONGEST_KEY = 1024
"""Characters; stores allow as many bytes."""


class InvalidRegex(Exception):
    """A regular expression that cannot be one, or takes too long."""

    def __init__(self, expression: str, reason: str) -> None:
        super().__init__(f"The regular expression {expression!r} cannot be used: {reason}")


def folder(prefix: str, subdir: str | None = None) -> str:
    """Prefix and subdirectory as the beginning of keys: joined by one slash, with one at the end; empty for neither."""
    return "".join(f"{part}/" for each in (prefix, subdir or "") if (part := each.strip("/")))


def uri(
    endpoint_url: str | None,
    bucket: str,
    prefix: str,
    subdir: str | None = None,
    expression: str | None = None,
) -> str:
    """`s3://bucket/prefix/subdir/?regex=…`, for people; `file:bucket/…` for a folder, wherever that lies."""
    query = f"?regex={quote(expression, safe='')}" if expression else ""
    begin = "file:" if (endpoint_url or "").startswith(FOLDER) else "s3://"
    return f"{begin}{bucket}/{folder(prefix, subdir)}{query}"


def public_url(base: str, key: str) -> str:
    """A key below the public address of its bucket."""
    return f"{base.rstrip('/')}/{quote(key, safe=_IN_PATHS)}"


@dataclass(frozen=True)
class Captures:
    """Tells captures from what else lies beside them."""

    pattern: regex.Pattern[str] | None = None

    @classmethod
    def matching(cls, expression: str | None) -> "Captures":
        """Those whose key the expression is found in, anywhere; all if there is none. Raises InvalidRegex."""
        try:
            return cls(regex.compile(expression) if expression else None)
        except (regex.error, RecursionError, OverflowError) as error:
            raise InvalidRegex(expression or "", str(error)) from error

    def have(self, key: str, size: int) -> bool:
        """Whether an object is a capture: a picture that the expression fits, with something in it."""
        return is_picture(key) and self.fit(key) and size > 0

    def fit(self, key: str) -> bool:
        """Whether the expression is found in a key. Raises InvalidRegex if that takes too long."""
        if self.pattern is None:
            return True
        try:
            return self.pattern.search(key, timeout=LONGEST_SEARCH) is not None
        except TimeoutError as error:
            raise InvalidRegex(self.pattern.pattern, f"it takes too long on {key!r}") from error


def is_picture(key: str) -> bool:
    """Whether the name of an object is one of a picture."""
    return key.lower().endswith(ENDINGS)


def shown(key: str) -> str:
    """A key as it can stand in a line of a log, whatever is in it."""
    return repr(key)[1:-1]


def unfit(key: str) -> str | None:
    """Why the path of a capture cannot be such a key; None if it can."""
    if len(key) > LONGEST_KEY:
        return f"it has more than {LONGEST_KEY} characters"
    if not key.isprintable() and any(letter < " " or letter == "\x7f" for letter in key):
        return "it has control characters"
    try:
        key.encode()
    except UnicodeEncodeError:
        return "it is not UTF-8"
    return None
