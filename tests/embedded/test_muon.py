"""The optimizer of the embedded model's recipes, which lie outside the package."""

import pytest
import torch
from torch import nn


@pytest.fixture
def muon(recipe_part):
    return recipe_part("muon")


@pytest.mark.parametrize("shape", [(3, 24, 216), (2, 96, 32)])
def test_singular_values_become_about_one_and_directions_stay(muon, shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    step = muon.orthogonalised(matrices)
    values = torch.linalg.svdvals(step)
    assert values.min() > 0.6
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    # In the basis of the given matrix the step is diagonal.
    inner = u.mT @ step @ v.mT
    assert (inner - torch.diag_embed(inner.diagonal(dim1=1, dim2=2))).abs().max() < 1e-3


def test_inner_layers_take_orthogonal_steps_and_the_rest_adamws(muon):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 3), nn.Conv2d(32, 3, 3))
    other = nn.Sequential(nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 3), nn.Conv2d(32, 3, 3))
    other.load_state_dict(net.state_dict())
    groups = muon.groups([net], 0.0)
    assert [len(group["params"]) for group in groups] == [1, 2, 3]
    ours = muon.Muon(groups, 1e-2)
    adamw = torch.optim.AdamW(other.parameters(), 1e-2, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    x = torch.randn(2, 3, 12, 12)
    before = net[1].weight.detach().clone()
    for model, optimizer in ((net, ours), (other, adamw)):
        model(x).square().mean().backward()
        optimizer.step()
    again = muon.Muon(muon.groups([net], 0.0), 1e-2)
    again.load_state_dict(ours.state_dict())
    assert torch.equal(again.state[net[1].weight]["average"], ours.state[net[1].weight]["average"])
    torch.testing.assert_close(net[0].weight, other[0].weight)
    torch.testing.assert_close(net[1].bias, other[1].bias)
    step = (before - net[1].weight.detach()).flatten(1) / 1e-2
    # Root mean square 0.2, as of AdamW's usual steps, and all directions that the gradient has alike.
    assert step.square().mean().sqrt() == pytest.approx(0.2, abs=0.05)
    values = torch.linalg.svdvals(step)
    values = values[values > 1e-2]
    assert len(values) >= 16
    assert values.max() < 2.5 * values.min()
