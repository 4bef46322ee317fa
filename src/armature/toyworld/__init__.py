"""toyworld: seed -> procedural captioned scene with exact condition maps. Imports nothing of the other rooms."""

from armature.toyworld.scene import Scene, scene

__all__ = ["Scene", "scene"]
