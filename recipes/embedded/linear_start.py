"""Weights for an AutoencoderTiny that learnt nothing yet, but codes pictures as principal components do.

From random weights hundreds of steps pass before an autoencoder is as good as the principal components of its patches,
which cost seconds. Here each level of the encoder starts as the components of 2 x 2 places of the level before, each
level of the decoder as the best linear guess of what the encoder saw there; blocks start as the identity.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from diffusers.models.unets.unet_2d_blocks import AutoencoderTinyBlock
from torch import Tensor, nn

# Blocks end in a ReLU, so features are kept this far above 0.
_ABOVE = 0.02
_RIDGE = 1e-4


@torch.no_grad()
def start_linear(vae: AutoencoderTiny, pictures: Tensor) -> None:
    """Fill the weights of an untrained autoencoder. pictures: (n, 3, h, w) in -1..1; a hundred are enough."""
    encoder, decoder = list(vae.encoder.layers), list(vae.decoder.layers)
    for block in (layer for layer in encoder + decoder if isinstance(layer, AutoencoderTinyBlock)):
        last = block.conv[-1]
        last.weight.zero_()
        last.bias.zero_()
    x = pictures.add(1).div(2)
    seen: list[Tensor] = []
    known, entered = 0, False
    for layer in encoder[:-1]:
        if isinstance(layer, nn.Conv2d) and layer.stride == (1, 1):
            _set_centre(layer, torch.eye(3), torch.zeros(3))
            known = 3
        elif isinstance(layer, nn.Conv2d):
            known = _set_components(layer, x, known)
            centred = layer(x)[:, :known]
            mean = centred.mean((0, 2, 3), keepdim=True)
            seen.append(centred - mean)
            entered = True
        elif entered:
            # The first block of a level lifts its features above the ReLU.
            layer.conv[-1].bias[:known] = (_ABOVE - x[:, :known].amin((0, 2, 3))).clamp(min=0)
            entered = False
        x = layer(x)
    last = encoder[-1]
    kept = x[:, : last.out_channels]
    deviation, mean = kept.std((0, 2, 3)), kept.mean((0, 2, 3))
    _set_centre(last, torch.diag(1 / deviation), -mean / deviation)
    z = last(x)
    x = torch.tanh(z / 3) * 3
    targets = [*seen[::-1], pictures.add(1).div(2)]
    for layer in decoder:
        if isinstance(layer, nn.Conv2d) and targets:
            _regress(layer, x, targets.pop(0))
        elif isinstance(layer, nn.Conv2d):
            _set_centre(layer, torch.eye(3), torch.zeros(3))
        x = layer(x)


def _set_centre(layer: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    """The first outputs are these mixtures of the first inputs, place by place."""
    rows, columns = weight.shape
    layer.weight[:rows] = 0
    layer.weight[:rows, :columns, 1, 1] = weight
    layer.bias[:rows] = bias


def _set_components(layer: nn.Conv2d, x: Tensor, known: int) -> int:
    """Outputs become principal components of 2 x 2 places of the first `known` features; how many they are."""
    patches = F.unfold(x[:, :known], 2, stride=2).transpose(1, 2).reshape(-1, 4 * known)
    components = min(layer.out_channels, 4 * known)
    patches = patches - patches.mean(0)
    basis = torch.linalg.eigh(patches.T @ patches).eigenvectors.flip(1)[:, :components]
    layer.weight[:components] = 0
    # A step of 2 begins at the kernel's middle, so the other place is the one after it.
    layer.weight[:components, :known, 1:, 1:] = basis.T.reshape(components, known, 2, 2)
    return components


def _regress(layer: nn.Conv2d, x: Tensor, target: Tensor) -> None:
    """The first outputs guess the target from 3 x 3 places of the features by least squares, and stay above 0."""
    wanted = target.shape[1]
    inputs = F.unfold(x, 3, padding=1).transpose(1, 2).reshape(-1, 9 * x.shape[1])
    # Nothing cuts the pictures off, which come last.
    above = torch.zeros(3) if wanted == 3 else _ABOVE - target.amin((0, 2, 3))
    goal = target.permute(0, 2, 3, 1).reshape(-1, wanted) + above
    if layer.bias is not None:
        inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], 1)
    square = inputs.T @ inputs
    square += _RIDGE * square.diagonal().mean() * torch.eye(len(square))
    weight = torch.linalg.solve(square, inputs.T @ goal).T
    if layer.bias is not None:
        layer.bias[:wanted] = weight[:, -1]
        weight = weight[:, :-1]
    layer.weight[:wanted] = weight.reshape(wanted, -1, 3, 3)
