"""Tries every pipeline with every sampler; run as a script, it writes docs/pipelines.md.

    python tests/injection/pipeline_table.py

The tests run one sampler with every pipeline and every sampler with one pipeline, by the same function.
"""

from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
from small_parts import drawing
from small_pipelines import CASES, SAMPLERS

import armature
from armature import Control

PAGE = Path(__file__).parents[2] / "docs" / "pipelines.md"
HEAD = """# Pipelines and samplers

Every pair of this table was run with small random models, three steps and guidance on (diffusers {diffusers}), by
`python tests/injection/pipeline_table.py`, which wrote this page. A tick says that all of these hold:

- a control of weight 0 gives the picture of no adapter, bit for bit;
- after detach the picture is that of before, bit for bit, and no hook is left;
- a control of another weight changes the picture, and acts on every U-Net call of every step.

One call of `armature.attach` serves them all; no pipeline class is copied or subclassed.
"""


@dataclass(frozen=True)
class Trial:
    """What one pair of pipeline and sampler showed."""

    silent_is_equal: bool
    detached_is_equal: bool
    hooks_left: int
    changes: bool
    on_every_call: bool

    @property
    def passed(self) -> bool:
        """Whether the pair keeps all promises."""
        return (
            self.silent_is_equal
            and self.detached_is_equal
            and not self.hooks_left
            and self.changes
            and self.on_every_call
        )


@torch.no_grad()
def try_pair(pipeline_name: str, sampler_name: str) -> Trial:
    """Run a pipeline of CASES with a sampler of SAMPLERS: plain, controlled, at weight 0, and detached."""
    case = CASES[pipeline_name]
    kind, options = SAMPLERS[sampler_name]
    pipeline, adapter = case.build(kind, **options), case.adapter()
    plain = case.run(pipeline)
    with armature.attach(pipeline, Control(adapter, drawing(), weight=3.0)) as attachment:
        controlled = case.run(pipeline)
        report = attachment.report()
        attachment.update(Control(adapter, drawing(), weight=0.0))
        silent = case.run(pipeline)
    detached = case.run(pipeline)
    return Trial(
        silent_is_equal=torch.equal(silent, plain),
        detached_is_equal=torch.equal(detached, plain),
        hooks_left=sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in pipeline.unet.modules()),
        changes=bool((controlled - plain).abs().max() > 1e-3),
        on_every_call=report.controls[0].calls == report.calls and len(report.controls[0].active) == report.steps,
    )


def table() -> str:
    """The page, from trying all pairs."""
    lines = [HEAD.format(diffusers=diffusers.__version__)]
    lines.append("| pipeline | class | " + " | ".join(SAMPLERS) + " |")
    lines.append("|---" * (len(SAMPLERS) + 2) + "|")
    for name, case in CASES.items():
        marks = ["✓" if try_pair(name, sampler).passed else "✗" for sampler in SAMPLERS]
        lines.append(f"| {name} | `{case.name}` | " + " | ".join(marks) + " |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    torch.set_num_threads(1)
    page = table()
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    print(PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE)
