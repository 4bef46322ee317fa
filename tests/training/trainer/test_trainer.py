"""What a training does between its first and last step, and what it leaves alone."""

from contextlib import contextmanager

import pytest
import torch
from small_training import (
    ALPHAS,
    Notebook,
    PositionBatches,
    newest,
    settings,
    small_adapter,
    small_unet,
    small_xl_unet,
    train_small,
)

from armature.bases.schedule import noised, target
from armature.errors import RecipeError
from armature.injection.hooks import injected
from armature.training.recipe.duration import Duration
from armature.training.trainer.distributed import Processes
from armature.training.trainer.noise import StepNoise
from armature.training.trainer.step import Learner, freeze, min_snr_weight


class Onlooker:
    """Notes what it sees, and spoils what it can."""

    def __init__(self, every="3 steps"):
        self.every, self.calls = Duration.parse(every), []

    def on_due(self, state, adapter):
        weights = {name: value.clone() for name, value in adapter.state_dict().items()}
        self.calls.append((state.step, state.images, adapter.training, torch.is_grad_enabled(), weights))
        torch.rand(5)
        return {"seen/step": float(state.step)}


@contextmanager
def learning(train, unet=None, adapter=None, prediction="epsilon"):
    unet = unet if unet is not None else small_unet()
    freeze(unet)
    batches = PositionBatches(train)
    with injected(unet) as injection:
        adapter = adapter or small_adapter()
        yield Learner(train, unet, injection, adapter, ALPHAS, prediction, batches.empty, Processes()), batches


def test_only_the_adapter_learns(tmp_path):
    unet = small_unet()
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    adapter = train_small(tmp_path, unet=unet)
    assert all(torch.equal(value, before[name]) for name, value in unet.state_dict().items())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in unet.parameters())
    first = small_adapter().state_dict()
    assert not any(torch.equal(value, first[name]) for name, value in adapter.state_dict().items())
    assert not any(module._forward_hooks for module in unet.modules())


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("min_snr", [0.0, 5.0])
def test_the_gradient_is_that_of_the_papers_loss_written_out(prediction, min_snr):
    train = settings(min_snr=min_snr, accumulate=2, clip=0.0, optimizer="adamw")
    unet, adapter = small_unet(), small_adapter()
    gradients = {}
    with learning(train, unet, adapter, prediction) as (learner, batches):
        learner.optimizer.register_step_pre_hook(
            lambda *_: gradients.update({n: p.grad.clone() for n, p in adapter.named_parameters()})
        )
        learner.step(1, batches.stream(0), 0.0)
    open_unet, plain = small_unet(), small_adapter()
    drawn = StepNoise.of(train).apply(batches.at(range(4)), batches.empty)
    at = ALPHAS[drawn.timesteps]
    with injected(open_unet, plain(drawn.control)):
        noisy = noised(drawn.latents, drawn.noise, at)
        out = open_unet(noisy, drawn.timesteps, drawn.text).sample
        wanted = target(prediction, drawn.latents, drawn.noise, at)
        weight = min_snr_weight(prediction, at, min_snr) if min_snr else torch.ones(4)
        (weight * (out - wanted).square().mean((1, 2, 3))).mean().backward()
    for name, parameter in plain.named_parameters():
        # Other batch sizes and layouts sum in another order.
        assert torch.allclose(gradients[name], parameter.grad, atol=1e-6, rtol=1e-4), name


def test_checkpointed_gradients_are_the_same(tmp_path):
    states = []
    for wanted in (False, True):
        train = settings(checkpoint_gradients=wanted, length="2 steps")
        unet = small_unet()
        train_small(tmp_path / str(wanted), train, unet=unet)
        states.append(newest(tmp_path / str(wanted)).learner)
        assert not unet.is_gradient_checkpointing
    for name, value in states[0].adapter.items():
        assert torch.allclose(value, states[1].adapter[name], atol=1e-6), name


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
@pytest.mark.parametrize("base", [torch.bfloat16, torch.float32])
def test_gradients_and_weights_are_float32_under_every_precision(base, precision):
    train = settings(precision=precision)
    seen = []
    with learning(train, small_unet(base)) as (learner, batches):
        learner.optimizer.register_step_pre_hook(
            lambda *_: seen.extend(p.grad.dtype for p in learner.adapter.parameters())
        )
        features = []
        learner.adapter.register_forward_hook(lambda module, arguments, out: features.extend(out.maps))
        before = learner.adapter.conv_in.weight.clone()
        learner.step(1, batches.stream(0), 1e-2)
        learner.check_finite("")
        arithmetic = base if precision == "auto" else getattr(torch, precision)
        assert {feature.dtype for feature in features} == {arithmetic}
        assert set(seen) == {torch.float32} == {p.dtype for p in learner.adapter.parameters()}
        assert not torch.equal(before, learner.adapter.conv_in.weight)


def test_float16_is_scaled_and_its_scale_is_remembered(tmp_path):
    train_small(tmp_path, settings(length="2 steps"), unet=small_unet(torch.float16))
    state = newest(tmp_path).learner
    assert state.scaler["scale"] >= 1.0
    assert all(torch.isfinite(value).all() for value in state.adapter.values())


def test_sdxl_learns_with_its_own_conditioning(tmp_path):
    train = settings(length="2 steps")
    adapter = small_adapter(xl=True)
    before = {name: value.clone() for name, value in adapter.state_dict().items()}
    train_small(tmp_path, train, batches=PositionBatches(train, xl=True), unet=small_xl_unet(), adapter=adapter)
    assert not any(torch.equal(value, before[name]) for name, value in adapter.state_dict().items())


def test_the_adapter_ends_averaged_and_evaluating(tmp_path):
    adapter = train_small(tmp_path)
    assert not adapter.training
    averages = newest(tmp_path).learner.ema
    assert all(torch.equal(value, averages[name]) for name, value in adapter.state_dict().items())
    plain = train_small(tmp_path / "plain", settings(ema=0.0))
    state = newest(tmp_path / "plain").learner
    assert state.ema is None
    assert all(torch.equal(value, state.adapter[name]) for name, value in plain.state_dict().items())


def test_the_log_has_every_figure_and_the_mean_loss(tmp_path):
    book = Notebook()
    train_small(tmp_path, settings(length="5 steps"), metrics=book)
    assert [step for step, _ in book.lines] == [2, 4, 5]
    assert book.rewinds == [0]
    names = ("loss", "gradient_norm", "learning_rate", "images_per_second", "memory_gib")
    assert all(set(figures) == {f"train/{name}" for name in names} for _, figures in book.lines)
    singly = Notebook()
    train_small(tmp_path / "singly", settings(length="5 steps"), log="1 step", metrics=singly)
    losses = [figures["train/loss"] for _, figures in singly.lines]
    means = [sum(losses[:2]) / 2, sum(losses[2:4]) / 2, losses[4]]
    assert [figures["train/loss"] for _, figures in book.lines] == pytest.approx(means)


def test_progress_is_told_after_every_step(tmp_path):
    told = []
    train_small(tmp_path, progress=told.append)
    assert [(p.state.step, p.steps, round(p.share, 3)) for p in told] == [(n, 6, round(n / 6, 3)) for n in range(1, 7)]
    assert told[-1].minutes_left == 0.0
    assert "train/loss" in told[-1].figures


def test_callbacks_are_called_at_the_start_in_turn_and_at_the_end(tmp_path):
    onlooker, book = Onlooker("2 steps"), Notebook()
    train_small(tmp_path, settings(length="5 steps"), callbacks=[onlooker], metrics=book)
    assert [(step, images) for step, images, *_ in onlooker.calls] == [(0, 0), (2, 4), (4, 8), (5, 10)]
    assert [step for step, figures in book.lines if "seen/step" in figures] == [0, 2, 4, 5]
    for _, _, training, gradients, _ in onlooker.calls:
        assert not training
        assert not gradients


def test_callbacks_see_the_averaged_weights_and_change_nothing(tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    onlooker = Onlooker("6 steps")
    called = train_small(tmp_path / "called", callbacks=[onlooker])
    assert torch.equal(before, torch.get_rng_state())
    plain = train_small(tmp_path / "plain")
    for name, value in plain.state_dict().items():
        assert torch.equal(value, called.state_dict()[name])
    averages = newest(tmp_path / "called").learner.ema
    assert all(torch.equal(value, averages[name]) for name, value in onlooker.calls[-1][-1].items())


def test_the_unet_is_free_of_features_while_a_callback_works(tmp_path):
    unet = small_unet()
    outputs = []

    class Caller(Onlooker):
        def on_due(self, state, adapter):
            g = torch.Generator().manual_seed(0)
            call = (torch.randn(1, 4, 8, 8, generator=g), torch.tensor([5]), torch.zeros(1, 5, 8))
            outputs.append(unet(*call, return_dict=False)[0])
            return {}

    train_small(tmp_path, settings(length="2 steps"), unet=unet, callbacks=[Caller("1 step")])
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


def test_lengths_in_epochs_and_minutes_end(tmp_path):
    book = Notebook()
    train_small(tmp_path / "epochs", settings(length="2 epochs"), metrics=book)
    assert book.lines[-1][0] == 10
    train_small(tmp_path / "minutes", settings(length="0.005 minutes"))
    state = newest(tmp_path / "minutes").state
    assert state.minutes >= 0.005
    assert state.images == state.step * 2


def test_the_last_checkpoints_are_kept(tmp_path):
    train_small(tmp_path, save="1 step", keep=2)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000005", "step-00000006"]


def test_callbacks_save_nothing_out_of_turn(tmp_path):
    train_small(tmp_path, settings(length="4 steps"), save="3 steps", callbacks=[Onlooker("1 step")])
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000003", "step-00000004"]


def test_an_adapter_in_half_precision_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"The adapter's weights are float16; training keeps them in float32"):
        train_small(tmp_path, adapter=small_adapter().half())


def test_compiling_the_base_is_wired_in(tmp_path, monkeypatch):
    compiled = []

    def compile_later(module):
        # By now the hooks are in place, or the graph would not have them.
        compiled.append(any(part._forward_hooks for part in module.modules()))
        return module

    monkeypatch.setattr(torch, "compile", compile_later)
    train_small(tmp_path, settings(length="1 step", compile=True))
    assert compiled == [True]


class _Off(torch.nn.Module):
    """A U-Net as a bad compiler makes it: right answers, gradients that are not."""

    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, *args, **kwargs):
        out = self.unet(*args, **kwargs)[0]
        return (out.detach() + 1.1 * (out - out.detach()),)


def test_a_compiled_base_with_other_gradients_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", _Off)
    with pytest.raises(RecipeError, match=r"gradients that are 10\.0% off .* set train\.compile = false"):
        train_small(tmp_path, settings(length="1 step", compile=True))


def test_looking_at_the_compiled_base_first_changes_nothing(tmp_path, monkeypatch):
    plain = train_small(tmp_path / "plain", settings(length="2 steps"))
    monkeypatch.setattr(torch, "compile", lambda module: module)
    compiled = train_small(tmp_path / "compiled", settings(length="2 steps", compile=True))
    for one, other in zip(plain.parameters(), compiled.parameters(), strict=True):
        assert torch.equal(one, other)
