"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from uuid import uuid4

from PIL import Image

from armature.errors import ArmatureError


def write_whole(path: str | Path, content: bytes | str) -> Path:
    """Write a file under a temporary name and rename it; missing folders are made, text is UTF-8.

    Raises ArmatureError when the disk refuses; an earlier file is then as it was.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise ArmatureError(f"{path} cannot be written ({error}); make room, or choose another folder.") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def write_picture(path: str | Path, picture: Image.Image) -> Path:
    """Write a PNG the same way."""
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return write_whole(path, buffer.getvalue())
