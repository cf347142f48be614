"""Files: one that cannot be read is a sentence, and one that is written is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import DataError, EdgertError


@contextmanager
def reading(path: str | os.PathLike[str], what: str, error: type[EdgertError] = DataError) -> Iterator[None]:
    """Around what reads a file with a library. Whatever that raises becomes an `error` that says the file is not `what`: the readers of
    zip files, arrays, sounds and pictures do not document what they raise for damaged ones, and it is a lot."""
    try:
        yield
    except EdgertError:
        raise
    except FileNotFoundError:
        raise error(f"{path}: there is no such file") from None
    except Exception as e:
        reason = getattr(e, "strerror", None) or " ".join(str(e).split()) or type(e).__name__
        raise error(f"{path}: not {what}, or a damaged one ({reason})") from None


def write_atomically(path: Path, data: bytes | str) -> None:
    """Writes to a temporary file in the same folder and renames it: what was there stays until then.

    Raises:
      DataError: the folder does not exist or cannot be written.
    """
    content = data.encode() if isinstance(data, str) else data
    temporary = None
    try:
        if path.is_dir():
            raise DataError(f"{path}: this is a directory; name a file to write")
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as f:
            f.write(content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
        temporary = None
    except OSError as e:
        raise DataError(f"{path}: cannot be written ({e.strerror or e})") from None
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
