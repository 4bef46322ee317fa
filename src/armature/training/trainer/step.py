"""A training step: the frozen base predicts, the adapter takes the blame, the optimizer moves its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from armature.adapters.base import Adapter
from armature.bases.schedule import known_prediction, noised, target
from armature.bases.text import TextStates
from armature.bases.unet import computing_in, predict
from armature.data.encoding.batch import EncodedBatch
from armature.devices import PRECISIONS
from armature.errors import CheckpointError, RecipeError
from armature.injection.hooks import Injection
from armature.training.checkpoint.state import LearnerState
from armature.training.recipe.model import TrainSettings
from armature.training.trainer.distributed import Processes
from armature.training.trainer.nan_guard import NanGuard
from armature.training.trainer.noise import NoisedBatch, StepNoise
from armature.training.trainer.optim import Ema, build_optimizer, load_optimizer_state, optimizer_state, set_rate

# Half precision rounds a compiled graph otherwise than single operations; wrong graphs are off by much more.
COMPILED_MAY_BE_OFF = 0.03


def freeze(*modules: nn.Module) -> None:
    """Switch gradients off for every parameter: no memory and no time goes into the base's weights."""
    for module in modules:
        module.requires_grad_(False)
        module.eval()


def check_frozen(unet: nn.Module) -> None:
    """Raise RecipeError when a parameter of the base still asks for gradients."""
    if any(parameter.requires_grad for parameter in unet.parameters()):
        raise RecipeError("The base model is not frozen; call armature.training.trainer.step.freeze on it first.")


def adapter_loss(
    injection: Injection,
    unet: nn.Module,
    adapter: nn.Module,
    batch: NoisedBatch,
    alphas_cumprod: Tensor,
    prediction: str,
    weight: Tensor | None = None,
    arithmetic: torch.dtype = torch.float32,
    *,
    known_frozen: bool = False,
) -> Tensor:
    """The loss of one batch, a scalar with gradients to the adapter only.

    injection: an entered `injected(unet)`. unet: in any precision, compiled or not. adapter: an Adapter, wrapped or
    not. alphas_cumprod: of the whole schedule, on the batch's device.
    prediction: the base's, see `armature.bases.schedule`. weight: (n,) or None for the paper's plain error.
    arithmetic: what the adapter's float32 weights compute in; a half-precision base keeps to its own precision, and a
    float32 base follows. Noise, target and error are float32 in any case.
    known_frozen: do not look through all of the base's parameters, which takes milliseconds in a large one.
    Raises RecipeError when the base still has parameters that ask for gradients.
    Source: paper equation 7.
    """
    if not known_frozen:
        check_frozen(unet)
    at = alphas_cumprod[batch.timesteps]
    noisy = noised(batch.latents, batch.noise, at)
    with computing_in(noisy.device, arithmetic):
        injection.set(adapter(batch.control))
    out = predict(unet, noisy, batch.timesteps, batch.text, batch.added, arithmetic)
    return mean_squared_error(out, target(prediction, batch.latents, batch.noise, at), weight)


def min_snr_weight(prediction: str, alphas_cumprod: Tensor, cap: float = 5.0) -> Tensor:
    """Weight of each sample's squared error so that no noise level outweighs the others; (n,).

    With snr = a / (1 - a): min(snr, cap) / snr for epsilon, min(snr, cap) / (snr + 1) for v, min(snr, cap) for the
    sample itself (Hang et al. 2023). Where nothing is left of the picture (snr = 0), epsilon's weight is its limit, 1.
    Raises RecipeError for an unknown prediction type or a cap that is not positive.
    """
    if cap <= 0:
        raise RecipeError(f"The SNR cap is {cap}; expected a positive number, 5 in the paper.")
    kind = known_prediction(prediction)
    snr = alphas_cumprod / (1 - alphas_cumprod)
    if kind == "epsilon":
        return (cap / snr).clamp(max=1)
    return snr.clamp(max=cap) / (snr + 1) if kind == "v_prediction" else snr.clamp(max=cap)


def mean_squared_error(predicted: Tensor, wanted: Tensor, weight: Tensor | None = None) -> Tensor:
    """Scalar: squared error averaged per sample, weighted by (n,) weights if given, in float32."""
    error = (predicted.float() - wanted.float()).square().flatten(1).mean(1)
    return (error if weight is None else error * weight).mean()


class Learner:
    """An adapter with its optimizer, averaged weights and gradient scaler.

    unet: frozen, on the processes' device. injection: entered, of the same U-Net. compiled: the U-Net compiled, to be
    used instead once it was seen to give the same gradients.
    adapter: float32, on the same device. alphas: of the base's schedule, (T,) float32. prediction: the base's.
    empty: the empty caption's states. Raises RecipeError for an adapter whose weights are not float32, and for a base
    that is not frozen.
    """

    def __init__(
        self,
        settings: TrainSettings,
        unet: nn.Module,
        injection: Injection,
        adapter: Adapter,
        alphas: Tensor,
        prediction: str,
        empty: TextStates,
        processes: Processes,
        compiled: nn.Module | None = None,
    ) -> None:
        if adapter.dtype != torch.float32:
            name = str(adapter.dtype).removeprefix("torch.")
            raise RecipeError(f"The adapter's weights are {name}; training keeps them in float32: call .float() on it.")
        check_frozen(unet)
        self.adapter = adapter
        self._settings = settings
        self._unet = unet
        self._compiled = compiled
        self._injection = injection
        self._alphas = alphas.to(processes.device)
        self._prediction = prediction
        pooled = None if empty.pooled is None else empty.pooled.to(processes.device)
        self._empty = TextStates(empty.states.to(processes.device), pooled)
        self._device = processes.device
        own = next(unet.parameters()).dtype
        self._arithmetic = own if settings.precision == "auto" else PRECISIONS[settings.precision]
        low = adapter.contract.range[0] if adapter.contract else 0.0
        self._noise = StepNoise.of(settings, low=low, total=len(alphas))
        # First the optimizer: 8-bit AdamW changes the weights' layout, which the wrapper's buffers follow.
        self.optimizer = build_optimizer(adapter, settings)
        self._wrapped = processes.wrapped(adapter)
        # Small gradients vanish on their way through float16 unless the loss is scaled up.
        half = torch.float16 in (own, self._arithmetic)
        self._scaler = torch.amp.GradScaler(processes.device.type) if half else None
        self.ema = Ema(adapter.parameters(), settings.ema) if settings.ema else None
        self.guard = NanGuard(processes, scaled=half)

    def step(self, number: int, batches: Iterator[EncodedBatch], rate: float) -> None:
        """Do the optimizer step with this number, the first being 1, at this rate; the device is not waited for."""
        set_rate(self.optimizer, rate)
        count = self._settings.accumulate
        for micro in range(count):
            batch = self._noise.apply(next(batches), self._empty, self._device)
            if self._compiled is not None:
                self._change_to(self._compiled, batch)
            with nullcontext() if micro == count - 1 else self._apart():
                loss = self._loss(batch)
                part = loss / count
                (part if self._scaler is None else self._scaler.scale(part)).backward()
            self.guard.note_loss(number, batch.keys, loss)
        self._update()
        if self.ema is not None:
            self.ema.update(number)

    def check_finite(self, last_good: str) -> None:
        """Raise ArmatureError, in every process, if anything was not finite since the last check; see NanGuard."""
        self.guard.check_finite(last_good)
        if self._scaler is not None:
            self.guard.check_scale(self._scaler.get_scale(), last_good)

    def clear(self) -> None:
        """Take the features out of the U-Net, so that others can use it between two steps."""
        self._injection.set(None)

    def state_dict(self) -> LearnerState:
        """All that a resumed training needs of it, as it is now; tensors are the live ones, not copies."""
        names = [name for name, _ in self.adapter.named_parameters()]
        return LearnerState(
            adapter=dict(self.adapter.state_dict()),
            ema=None if self.ema is None else dict(zip(names, self.ema.average, strict=True)),
            optimizer=optimizer_state(self.optimizer, self.adapter),
            scaler=None if self._scaler is None else self._scaler.state_dict(),
        )

    def load_state_dict(self, state: LearnerState) -> None:
        """Go on where a state was taken. Raises CheckpointError when it is that of another adapter."""
        try:
            self.adapter.load_state_dict(state.adapter)
        except RuntimeError as error:
            raise CheckpointError(
                "The checkpoint holds another adapter network; choose another run folder, or start anew with --force. "
                f"({str(error).splitlines()[-1].strip()})"
            ) from error
        load_optimizer_state(self.optimizer, self.adapter, state.optimizer)
        if self.ema is not None:
            # A run that kept no average so far starts it from its weights.
            average = state.adapter if state.ema is None else state.ema
            self.ema.load(average[name] for name, _ in self.adapter.named_parameters())
        if self._scaler is not None and state.scaler is not None:
            self._scaler.load_state_dict(state.scaler)

    def _change_to(self, compiled: nn.Module, batch: NoisedBatch) -> None:
        """Use the compiled U-Net from now on. Raises RecipeError when its gradients are others.

        Not every build compiles right: torch 2.13 on a CPU was seen to give gradients of a U-Net that are 7 % off.
        """
        plain, self._compiled = self._unet, None
        wanted = self._gradients(batch)
        self._unet = compiled
        off = float((self._gradients(batch) - wanted).norm() / wanted.norm().clamp(min=1e-20))
        # Not a number on both sides is no matter of compilation: the step's own guard tells of it.
        if not off <= COMPILED_MAY_BE_OFF and wanted.isfinite().all():
            self._unet = plain
            raise RecipeError(
                f"The compiled U-Net gives gradients that are {off:.1%} off those of the U-Net itself, under torch "
                f"{torch.__version__} on {self._device.type}; set train.compile = false, or use another torch."
            )

    def _gradients(self, batch: NoisedBatch) -> Tensor:
        with self._apart():
            self._loss(batch).backward()
        gradients = torch.cat([p.grad.flatten() for p in self.adapter.parameters() if p.grad is not None])
        self.optimizer.zero_grad(set_to_none=True)
        return gradients

    def _apart(self) -> AbstractContextManager[None]:
        """Processes average their gradients once a step, with those of its last micro-batch."""
        return self._wrapped.no_sync() if isinstance(self._wrapped, DistributedDataParallel) else nullcontext()

    def _loss(self, batch: NoisedBatch) -> Tensor:
        cap = self._settings.min_snr
        weight = min_snr_weight(self._prediction, self._alphas[batch.timesteps], cap) if cap else None
        return adapter_loss(
            self._injection,
            self._unet,
            self._wrapped,
            batch,
            self._alphas,
            self._prediction,
            weight,
            self._arithmetic,
            known_frozen=True,
        )

    def _update(self) -> None:
        """Clip the gathered gradients, let the optimizer use them, and drop them."""
        if self._scaler is not None:
            self._scaler.unscale_(self.optimizer)
        parameters = list(self.adapter.parameters())
        if self._settings.clip:
            norm = nn.utils.clip_grad_norm_(parameters, self._settings.clip)
        else:
            norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        self.guard.note_norm(norm)
        if self._scaler is None:
            self.optimizer.step()
        else:
            self._scaler.step(self.optimizer)
            self._scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
