"""Files that only their owner may read: written whole or not at all."""

import os
import secrets
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Put the text there, mode 0600; who reads meanwhile finds the file as it was before.

    Raises OSError where the folder cannot be written to; then the file is as it was.
    """
    made = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        # O_EXCL: nobody else has opened it while it was readable by more than its owner
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)
