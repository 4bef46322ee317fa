"""Attaching is reversible bit for bit, and atomic."""

import copy
import gc
import weakref

import pytest
import torch
from small_models import sd_unet, unet_inputs
from small_parts import SD_WIDTHS, CountingAdapter, drawing, sd_adapter

import armature
from armature import AttachError, Control


@pytest.fixture
def unet():
    return sd_unet(SD_WIDTHS)


def hooks(unet):
    return [hook for m in unet.modules() for hook in (*m._forward_hooks, *m._forward_pre_hooks)]


def sketch(**options):
    return Control(sd_adapter(), drawing(), **options)


def call(unet, **options):
    return unet(**unet_inputs(unet, **options)).sample


def test_detach_leaves_the_unet_as_it_was(unet):
    plain = call(unet)
    attachment = armature.attach(unet, sketch())
    assert not torch.equal(call(unet), plain)
    attachment.detach()
    attachment.detach()
    assert torch.equal(call(unet), plain)
    assert not hooks(unet)
    assert not attachment.attached


def test_an_attachment_can_be_forgotten(unet):
    attachment = armature.attach(unet, sketch())
    call(unet)
    attachment.detach()
    gone = weakref.ref(attachment)
    del attachment
    gc.collect()
    assert gone() is None


def test_weight_zero_is_no_adapter_bit_for_bit_and_runs_none(unet):
    plain, control = call(unet), sketch(weight=0)
    counting = CountingAdapter(control.adapter)
    with armature.attach(unet, control) as attachment:
        assert torch.equal(call(unet), plain)
        assert attachment.report().controls[0].notes == ("Its weights are 0: it adds nothing.",)
    assert counting.count == 0


def test_two_attachments_add_up_and_detach_out_of_order(unet):
    first, second = sketch(), Control(sd_adapter(1), drawing(1), weight=0.5)
    with armature.attach(unet, [first, second]):
        both = call(unet)
    with armature.attach(unet, second):
        only_second = call(unet)
    one, two = armature.attach(unet, first), armature.attach(unet, second)
    torch.testing.assert_close(call(unet), both)
    one.detach()
    assert torch.equal(call(unet), only_second)
    two.detach()
    assert not hooks(unet)


def test_attaching_the_same_control_twice_doubles_it(unet):
    with armature.attach(unet, sketch(weight=2.0)):
        doubled = call(unet)
    with armature.attach(unet, sketch()), armature.attach(unet, sketch()):
        torch.testing.assert_close(call(unet), doubled)


def test_an_exception_inside_the_block_detaches(unet):
    with pytest.raises(ZeroDivisionError), armature.attach(unet, sketch()):
        _ = 1 / 0
    assert not hooks(unet)


def test_an_exception_inside_the_unet_leaves_the_attachment_whole(unet):
    with armature.attach(unet, sketch()) as attachment:
        expected = call(unet)

        def fail(*args):
            raise ZeroDivisionError

        handle = unet.mid_block.register_forward_pre_hook(fail)
        with pytest.raises(ZeroDivisionError):
            call(unet)
        handle.remove()
        assert torch.equal(call(unet), expected)
        attachment.detach()
    assert not hooks(unet)


def test_a_failure_while_hooking_leaves_no_hook(unet, monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(unet.down_blocks[1].attentions[-1], "register_forward_hook", fail)
    with pytest.raises(MemoryError):
        armature.attach(unet, sketch())
    assert not hooks(unet)


def test_update_changes_the_controls_and_a_bad_one_changes_nothing(unet):
    with armature.attach(unet, sketch()) as attachment:
        first = call(unet)
        with pytest.raises(AttachError, match="does not fit"):
            attachment.update(Control(sd_adapter(widths=(8, 8, 8)), drawing()))
        assert torch.equal(call(unet), first)
        attachment.update([sketch(), sketch(weight=-1.0)])
        torch.testing.assert_close(call(unet), unhooked(unet))
        attachment.update([])
        assert torch.equal(call(unet), unhooked(unet))
    with pytest.raises(AttachError, match=r"was detached; call armature.attach again"):
        attachment.update(sketch())


def unhooked(unet):
    return call(sd_unet(SD_WIDTHS))


def test_a_copied_unet_works_alone_after_detach(unet):
    plain = call(unet)
    with armature.attach(unet, sketch()):
        twin = copy.deepcopy(unet)
    assert torch.equal(call(twin), plain)


def test_weights_change_without_reading_or_computing_anew(unet):
    loud, quiet = sketch(weight=2.0), sketch(weight=0.5)
    with armature.attach(unet, quiet):
        expected = call(unet)
    counting = CountingAdapter(loud.adapter)
    with armature.attach(unet, loud) as attachment:
        call(unet)
        attachment.update(weight=0.5)
        assert torch.equal(call(unet), expected)
        assert attachment.controls[0].weight == 0.5
        assert counting.count == 1
        attachment.update(weight=[2.0])
        attachment.update(weight={"sketch": 0.5})
        assert torch.equal(call(unet), expected)


def test_weights_are_given_by_name_in_order_or_to_all(unet):
    controls = [sketch(), Control(sd_adapter(1, kind="canny"), drawing())]
    with armature.attach(unet, controls) as attachment:
        attachment.update(weight={"canny": 3.0})
        assert [one.weight for one in attachment.controls] == [1.0, 3.0]
        attachment.update(weight=0.25)
        assert [one.weight for one in attachment.controls] == [0.25, 0.25]
        with pytest.raises(AttachError, match="No control is called 'depth'; there are sketch, canny"):
            attachment.update(weight={"depth": 1.0})
        with pytest.raises(AttachError, match="3 weights were given for 2 controls"):
            attachment.update(weight=[1, 2, 3])
        with pytest.raises(AttachError, match="weight is nan"):
            attachment.update(weight=float("nan"))
        attachment.update([sketch(), sketch()])
        with pytest.raises(AttachError, match="Several controls are called sketch; give one weight for each in order"):
            attachment.update(weight={"sketch": 1.0})


def test_a_control_takes_diffusers_own_adapters(unet):
    from diffusers import MultiAdapter, T2IAdapter

    torch.manual_seed(0)
    members = [
        T2IAdapter(in_channels=1, channels=list(SD_WIDTHS), num_res_blocks=1, adapter_type="full_adapter")
        for _ in range(2)
    ]
    two = [drawing(), drawing(1)]
    with armature.attach(unet, [Control(one, picture) for one, picture in zip(members, two, strict=True)]):
        expected = call(unet)
    with armature.attach(unet, Control(MultiAdapter(members), two)):
        torch.testing.assert_close(call(unet), expected, atol=1e-5, rtol=0)
    with pytest.raises(AttachError, match="joins 2 adapters; give a list with one picture for each"):
        armature.attach(unet, Control(MultiAdapter(members), drawing()))
