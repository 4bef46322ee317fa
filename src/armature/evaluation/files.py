"""Files that appear whole or not at all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from armature.errors import ArmatureError
from armature.files import replacing


def write_whole(path: str | Path, content: bytes | str) -> Path:
    """Write a file under a temporary name and rename it; missing folders are made, text is UTF-8.

    Raises ArmatureError when the disk refuses; an earlier file is then as it was.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise ArmatureError(f"{path} cannot be written ({error}); make room, or choose another folder.") from error
    return path


def write_picture(path: str | Path, picture: Image.Image) -> Path:
    """Write a PNG the same way."""
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return write_whole(path, buffer.getvalue())
