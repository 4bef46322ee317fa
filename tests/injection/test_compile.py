"""A compiled U-Net takes controls too, in one graph."""

import pytest
import torch
from small_models import sd_unet, unet_inputs
from small_parts import drawing, scheduler, sd_adapter

import armature
from armature import Control


class Loop:
    """The least that a pipeline is: a U-Net, a sampler, and a loop over its timesteps."""

    def __init__(self):
        self.unet, self.scheduler = sd_unet((16, 16), mid_block_type=None), scheduler()

    def __call__(self, steps=4):
        self.scheduler.set_timesteps(steps)
        inputs = unet_inputs(self.unet)
        return torch.cat([self.unet(**{**inputs, "timestep": t}).sample for t in self.scheduler.timesteps])


@pytest.mark.parametrize("in_place", [False, True])
def test_a_unet_compiled_and_run_before_still_sees_the_controls(in_place):
    """In one graph, however often the features change."""
    torch.compiler.reset()
    loop, graphs, adapter = Loop(), [], sd_adapter(widths=(16, 16))
    plain = loop()
    with armature.attach(loop, Control(adapter, drawing())):
        expected = loop()

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    if in_place:
        loop.unet.compile(backend=backend, fullgraph=True)
    else:
        loop.unet = torch.compile(loop.unet, backend=backend, fullgraph=True)
    assert torch.equal(loop(), plain)
    graphs.clear()
    with armature.attach(loop, Control(adapter, drawing())) as attachment:
        assert torch.equal(loop(), expected)
        attachment.update(Control(adapter, drawing(2), weight=0.5))
        assert not torch.equal(loop(), expected)
        assert len(graphs) == 1
    assert torch.equal(loop(), plain)
    torch.compiler.reset()
