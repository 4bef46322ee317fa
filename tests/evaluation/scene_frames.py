"""Scenes of toyworld as `CroppedSamples`, all of them held out, without the data room."""

from armature.data.samples.sample import CroppedSample
from armature.data.sources.source import BadSampleError, Problem
from armature.toyworld import scene

FIRST = 10_000_000


class SceneFrames:
    """count scenes with their maps of a kind; those at the places in `broken` cannot be read."""

    name = "scenes"

    def __init__(self, kind, count, broken=(), held_out=True):
        self.kind, self.broken = kind, broken
        numbers = range(count)
        self.held_out, self.training = (numbers, ()) if held_out else ((), numbers)

    def fingerprint(self):
        return self.kind

    def key(self, index):
        return f"scene {FIRST + index}"

    def bucket(self, index):
        return (128, 128)

    def load(self, index, variant=0, *, with_control=True):
        if index in self.broken:
            raise BadSampleError(self.key(index), Problem("picture", "it is torn"))
        drawn = scene(FIRST + index)
        size = (128, 128)
        told = (self.key(index), drawn.caption, drawn.picture, size, (0, 0), size)
        return CroppedSample(index, variant, *told, drawn.condition(self.kind))
