"""Where in a storage source the captures of a station lie, and which objects there are captures (domain 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from storage import patterns
from storage.patterns import Pattern

FOLDER = "file://"
"""How the address of a source begins whose bucket is a folder of this machine."""

ENDINGS = ("jpg", "jpeg", "png", "gif", "webp", "svg", "bmp", "ico", "tiff", "tif")
"""How the names of pictures end, in any case; a dot before is not needed."""

_IN_PATHS = "/!$&'()*+,;=:@~"

LONGEST_KEY = 1024
"""Characters; stores allow as many bytes."""


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

    pattern: Pattern | None = None

    @classmethod
    async def matching(cls, expression: str | None) -> "Captures":
        """Those whose key the expression is found in, anywhere; all if there is none. Raises InvalidRegex."""
        return cls(await patterns.compiling(lambda: Pattern(expression)) if expression else None)

    async def fit(self, keys: Sequence[str]) -> list[bool]:
        """Whether the expression is found in each of some keys."""
        return [True] * len(keys) if self.pattern is None else await self.pattern.found_in(keys)

    async def first(self, objects: Sequence[tuple[str, int]]) -> int | None:
        """The place of the first capture among keys with their sizes; None if there is none."""
        able = [at for at, (key, size) in enumerate(objects) if is_picture(key) and size > 0]
        for begin in range(0, len(able), patterns.AT_ONCE):
            some = able[begin : begin + patterns.AT_ONCE]
            fit = await self.fit([objects[at][0] for at in some])
            if True in fit:
                return some[fit.index(True)]
        return None


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
