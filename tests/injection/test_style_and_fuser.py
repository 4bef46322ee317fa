"""Style tokens join the prompt's in every pipeline that has one; a fuser joins controls of any subset of its kinds."""

import pytest
import torch
from small_models import sd_unet, unet_inputs
from small_parts import PROMPTS, SD_WIDTHS, SIZE, drawing, half_mask, sd_adapter
from small_pipelines import CASES

import armature
from armature import AttachError, Control
from armature.adapters.base import AdapterCard
from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.fuser import FuserSpec
from armature.adapters.networks.style import StyleSpec
from armature.adapters.registry import build_adapter
from armature.injection.hooks import injected

WIDTH = 32
STATES = torch.randn(17, 16, generator=torch.Generator().manual_seed(5))


def style(context=WIDTH, count=4, seed=0):
    torch.manual_seed(seed)
    card = AdapterCard(kind="style", family="sd")
    return build_adapter(StyleSpec(16, context, count, 4, 1), card).eval()


def context_of(case):
    return 64 if case.family == "sdxl" else WIDTH


def contexts(pipeline, call):
    """The text contexts that the U-Net's first attention sees."""
    seen = []
    attention = next(m for name, m in pipeline.unet.named_modules() if name.endswith("attn2"))
    handle = attention.register_forward_pre_hook(
        lambda module, args, named: seen.append(named["encoder_hidden_states"]), with_kwargs=True
    )
    call()
    handle.remove()
    return seen


@pytest.mark.parametrize("name", CASES)
def test_style_acts_and_goes_again_on_every_pipeline(name):
    case = CASES[name]
    pipeline = case.build()
    adapter = style(context_of(case))
    plain = case.run(pipeline, num_inference_steps=2)
    with armature.attach(pipeline, Control(adapter, STATES, weight=3.0)) as attachment:
        styled = case.run(pipeline, num_inference_steps=2)
        [report] = attachment.report().controls
        attachment.update(weight=0)
        assert torch.equal(case.run(pipeline, num_inference_steps=2), plain)
    assert not torch.equal(styled, plain)
    assert (report.tokens, report.picture, report.maps, report.guidance_half) == (4, None, (), "conditional")
    assert torch.equal(case.run(pipeline, num_inference_steps=2), plain)


def test_the_unconditional_half_repeats_its_last_tokens():
    case = CASES["SD"]
    pipeline, adapter = case.build(), style()
    with torch.no_grad():
        tokens = adapter(STATES[None]).tokens
    options = {"prompt": PROMPTS, "num_inference_steps": 1}
    [plain] = contexts(pipeline, lambda: case.run(pipeline, **options))
    with armature.attach(pipeline, Control(adapter, STATES, weight=0.5)):
        [longer] = contexts(pipeline, lambda: case.run(pipeline, **options))
    with armature.attach(pipeline, Control(adapter, STATES, guidance_half="both")):
        [both] = contexts(pipeline, lambda: case.run(pipeline, **options))
    assert longer.shape == (4, 20, WIDTH)
    assert torch.equal(longer[:, :16], plain)
    assert torch.equal(longer[:2, 16:], plain[:2, 12:])
    torch.testing.assert_close(longer[2:, 16:], 0.5 * tokens.expand(2, -1, -1))
    torch.testing.assert_close(both[:, 16:], tokens.expand(4, -1, -1))


def test_style_has_a_window_and_one_picture_per_prompt():
    case = CASES["SD"]
    pipeline, adapter = case.build(), style()
    two = [STATES, STATES.flip(0)]
    control = Control(adapter, two, start=0.5)
    options = {"prompt": PROMPTS, "num_inference_steps": 2}
    with armature.attach(pipeline, control) as attachment:
        first, second = contexts(pipeline, lambda: case.run(pipeline, **options))
        assert attachment.report().controls[0].active == (1,)
    assert (first.shape[1], second.shape[1]) == (16, 20)
    with torch.no_grad():
        tokens = adapter(torch.stack(two)).tokens
    torch.testing.assert_close(second[2:, 16:], tokens)


def test_style_joins_maps_and_prompt_embeddings_given_directly():
    case = CASES["SD"]
    pipeline = case.build()
    embeds = torch.randn(1, 30, WIDTH, generator=torch.Generator().manual_seed(1))
    options = {"prompt": None, "prompt_embeds": embeds, "negative_prompt_embeds": torch.zeros_like(embeds)}
    both = [Control(style(), STATES), Control(sd_adapter(), drawing())]
    with armature.attach(pipeline, both):
        [longer] = contexts(pipeline, lambda: case.run(pipeline, num_inference_steps=1, **options))
        joined = case.run(pipeline, **options)
    with armature.attach(pipeline, both[:1]), armature.attach(pipeline, both[1:]):
        torch.testing.assert_close(case.run(pipeline, **options), joined, atol=1e-5, rtol=0)
    assert longer.shape == (2, 34, WIDTH)


def test_what_style_cannot_do_is_refused():
    with pytest.raises(AttachError, match=r"gives tokens of width 24, and this U-Net has a text context of width 32"):
        armature.attach(sd_unet(SD_WIDTHS), Control(style(24), STATES))
    with pytest.raises(AttachError, match="has a mask, and gives tokens, which have no place; leave it out"):
        Control(style(), STATES, mask=half_mask())
    with pytest.raises(AttachError, match="levels has 4 numbers; this adapter has 0 levels"):
        Control(style(), STATES, levels="soft")
    unet = sd_unet(SD_WIDTHS)
    with armature.attach(unet, Control(style(), STATES)), pytest.raises(AttachError, match="guidance_half='both'"):
        unet(**unet_inputs(unet))
    with armature.attach(unet, Control(style(), STATES, guidance_half="both")):
        assert unet(**unet_inputs(unet)).sample.isfinite().all()


def member(kind, seed):
    torch.manual_seed(seed)
    return build_adapter(FullSpec(1, SD_WIDTHS, 1), AdapterCard(kind=kind, family="sd")).eval()


def fuser(width=WIDTH):
    torch.manual_seed(9)
    made = build_adapter(FuserSpec(SD_WIDTHS, width, 4, 1)).eval()
    for name, value in made.named_parameters():
        if name.startswith(("spatial_ch_projs", "seq_proj")):
            torch.nn.init.normal_(value, std=0.3)
    return made


KINDS = {"sketch": 1, "depth": 2, "style": 0}


def controls(kinds, **options):
    return [
        Control(style(), STATES, **options)
        if kind == "style"
        else Control(member(kind, KINDS[kind]), drawing(KINDS[kind]), **options)
        for kind in kinds
    ]


@pytest.mark.parametrize("kinds", [["sketch"], ["sketch", "depth"], ["depth", "style"], ["sketch", "style", "depth"]])
def test_a_fuser_joins_any_subset_as_its_own_forward_does(kinds):
    case = CASES["SD"]
    pipeline, joiner, given = case.build(), fuser(), controls(kinds, weight=0.7)
    with torch.no_grad():
        alone = [
            (one.name, one.adapter(one.adapter.prepare([one.adapter.read(one.image)[0]], (SIZE, SIZE)).value))
            for one in given
        ]
        expected = joiner([(name, features.scaled(0.7)) for name, features in alone])
    with injected(pipeline.unet, expected, (False, True)):
        wanted = case.run(pipeline)
    with armature.attach(pipeline, given, fuser=joiner) as attachment:
        torch.testing.assert_close(case.run(pipeline), wanted, atol=1e-4, rtol=0)
        assert "joined by a fuser" in str(attachment.report())
    with armature.attach(pipeline, given):
        assert (case.run(pipeline) - wanted).abs().max() > 1e-3


def test_controls_come_and_go_under_a_fuser():
    case = CASES["SD"]
    pipeline, joiner = case.build(), fuser()
    with armature.attach(pipeline, controls(["sketch"]), fuser=joiner):
        expected = case.run(pipeline, num_inference_steps=1)
    both = [*controls(["sketch"]), *controls(["depth"], weight=0)]
    with armature.attach(pipeline, both, fuser=joiner) as attachment:
        assert torch.equal(case.run(pipeline, num_inference_steps=1), expected)
        attachment.update(weight={"depth": 1.0})
        assert not torch.equal(case.run(pipeline, num_inference_steps=1), expected)


def test_what_a_fuser_cannot_join_is_refused_and_nothing_attached():
    pipeline = CASES["SD"].build()
    unknown = Control(sd_adapter(kind="lineart"), drawing())
    for given, joiner, message in (
        ([unknown], fuser(), "does not know the kind 'lineart'; it joins sketch"),
        ([], sd_adapter(), "The fuser is a full adapter; give what armature.load_adapter returns for a CoAdapter"),
        ([], build_adapter(FuserSpec((8, 8, 8), WIDTH, 4, 1)), r"takes feature maps of the widths \[8, 8, 8\], and"),
        (controls(["style"]), fuser(64), "gives tokens of width 32, and the fuser takes 64"),
    ):
        with pytest.raises(AttachError, match=message):
            armature.attach(pipeline, given, fuser=joiner)
    assert not any(module._forward_hooks for module in pipeline.unet.modules())
    with pytest.raises(AttachError, match="got a fuser network as its adapter, which takes the features"):
        Control(fuser(), drawing())
