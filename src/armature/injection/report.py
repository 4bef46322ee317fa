"""What an attachment did, in numbers and words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ControlReport:
    """One control of an attachment.

    name: kind of the adapter. weights: the weight of every feature map, finest first, or of the tokens.
    guidance_half: "both" or "conditional".
    active: steps of the last call on which it acts, or None before the first one and outside a pipeline.
    calls: U-Net calls on which it acts; more than the steps for samplers of order 2.
    picture: (height, width) in pixels at which the adapter saw its control, or None when it has not run.
    maps: (height, width) of every feature map. tokens: how many the text context gets, or None.
    dtype: the adapter's precision.
    notes: what was done to the control, as sentences.
    """

    name: str
    weights: tuple[float, ...]
    guidance_half: str
    active: tuple[int, ...] | None
    calls: int | None
    picture: tuple[int, int] | None
    maps: tuple[tuple[int, int], ...]
    tokens: int | None
    dtype: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class AttachmentReport:
    """An attachment as it stands after the last U-Net call; `print` it, or read its fields.

    target: the pipeline and U-Net. sites: names of the modules that take features.
    steps, calls: of the last pipeline call, or None. batch: its make-up in words. dtype: of the U-Net's input.
    latent: (height, width). computed: how often features were computed since the controls were set.
    """

    target: str
    sites: tuple[str, ...]
    steps: int | None
    calls: int | None
    batch: str | None
    latent: tuple[int, int] | None
    dtype: str | None
    computed: int
    controls: tuple[ControlReport, ...]

    def __str__(self) -> str:
        lines = [f"{self.target}; sites: {', '.join(self.sites)}"]
        if self.latent is None:
            lines.append("not run yet")
        else:
            steps = "outside a pipeline" if self.steps is None else f"{self.steps} steps, {self.calls} U-Net calls"
            lines.append(f"{steps}; {self.batch}; latent {self.latent[1]} x {self.latent[0]}, {self.dtype}")
        for control in self.controls:
            lines.extend(_control_lines(control, self.steps))
        return "\n".join(lines)


def _control_lines(control: ControlReport, steps: int | None) -> list[str]:
    weights = ", ".join(f"{weight:g}" for weight in control.weights)
    line = f"  {control.name}: weights {weights}"
    if control.active is not None:
        line += f"; active on {len(control.active)} of {steps} steps ({control.calls} U-Net calls)"
    if control.guidance_half != "both":
        line += f"; on the {control.guidance_half} half"
    if control.picture is not None:
        line += f"; seen at {control.picture[1]} x {control.picture[0]} px"
    if control.maps:
        line += f", maps {', '.join(f'{width}x{height}' for height, width in control.maps)}, {control.dtype}"
    if control.tokens is not None:
        line += f"; {control.tokens} tokens, {control.dtype}"
    return [line, *(f"    {note}" for note in control.notes)]
