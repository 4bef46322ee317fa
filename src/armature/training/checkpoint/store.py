"""The checkpoints of a run: step-00001000/ and so on, each whole or not there, the last few kept."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from uuid import uuid4

from safetensors import SafetensorError

from armature.errors import CheckpointError
from armature.files import replacing_folder
from armature.training.checkpoint.state import Checkpoint, read_checkpoint, write_checkpoint

_NAME = re.compile(r"step-(\d{8,})")


class CheckpointStore:
    """The folder of a run's checkpoints. Only the first process writes.

    folder: made when something is saved. keep: how many checkpoints stay, the newest ones.
    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder = folder
        self.keep = keep

    def all(self) -> list[Path]:
        """Folders of all checkpoints, damaged ones too, oldest first."""
        folders = (path for path in self.folder.glob("step-*") if _NAME.fullmatch(path.name) and path.is_dir())
        return sorted(folders, key=_step)

    def newest_whole(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that is intact, and a note for each newer one that is not; None when there is none."""
        notes = []
        for path in reversed(self.all()):
            try:
                return read_checkpoint(path), notes
            except CheckpointError as error:
                notes.append(f"{path.name} is damaged and was skipped: {error}.")
        return None, notes

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, then remove those that are older than the last `keep`. Returns its folder.

        One of the same step is replaced. Raises CheckpointError when it cannot be written, a full disk for one; the
        checkpoints that were there before are then still there.
        """
        path = self.folder / f"step-{checkpoint.state.step:08d}"
        try:
            with replacing_folder(path) as folder:
                write_checkpoint(checkpoint, folder)
        except (OSError, SafetensorError) as error:
            newest = self.all()[-1:]
            left = f"{newest[0].name} is untouched; continue from it with --resume" if newest else "there is none yet"
            raise CheckpointError(
                f"The checkpoint of step {checkpoint.state.step} cannot be written to {self.folder} ({error}). Make "
                f"room or check the disk. The newest checkpoint: {left}."
            ) from error
        for old in self.all()[: -self.keep]:
            self._remove(old)
        self.tidy()
        return path

    def set_aside(self, after: int) -> None:
        """Rename damaged checkpoints of later steps, so that they are neither counted nor taken for newer ones."""
        for path in self.all():
            if _step(path) > after:
                path.rename(path.with_name(f"damaged-{path.name}-{uuid4().hex[:8]}"))

    def clear(self) -> None:
        """Remove all checkpoints."""
        for path in self.all():
            self._remove(path)
        self.tidy()

    def tidy(self) -> None:
        """Remove what a killed program left half written or half removed."""
        for path in self.folder.glob(".step-*"):
            shutil.rmtree(path, ignore_errors=True)

    def _remove(self, path: Path) -> None:
        # Renamed first: a removal that is cut short must not look like a damaged checkpoint.
        hidden = path.with_name(f".{path.name}.{uuid4().hex}")
        path.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else -1
