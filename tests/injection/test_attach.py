"""Attaching is reversible bit for bit, atomic, and says what it did."""

import copy
import gc
import threading
import weakref

import numpy as np
import pytest
import torch
from small_models import sd_unet, unet_inputs
from small_pipelines import CASES, PROMPTS, SD_WIDTHS, drawing, half_mask, sd_adapter

import armature
from armature import AttachError, Control

SD = CASES["SD"]


@pytest.fixture(scope="module")
def pipeline():
    return SD.build()


@pytest.fixture
def unet():
    return sd_unet(SD_WIDTHS)


def hooks(unet):
    return [hook for m in unet.modules() for hook in (*m._forward_hooks, *m._forward_pre_hooks)]


def sketch(**options):
    return Control(sd_adapter(), drawing(), **options)


def call(unet, **options):
    return unet(**unet_inputs(unet, **options)).sample


class CountingAdapter:
    """Counts the passes of an adapter while it lives."""

    def __init__(self, adapter):
        self.count = 0
        adapter.register_forward_hook(self._note)

    def _note(self, *args):
        self.count += 1


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


def test_features_are_computed_once_per_call_of_the_pipeline(pipeline):
    control = sketch()
    counting = CountingAdapter(control.adapter)
    with armature.attach(pipeline, control):
        SD.run(pipeline)
        assert counting.count == 1
        SD.run(pipeline, prompt=PROMPTS, num_images_per_prompt=2)
        assert counting.count == 2


def test_features_are_computed_again_when_size_or_control_change(unet):
    control, other = sketch(), Control(sd_adapter(1), drawing())
    counting, counting_other = CountingAdapter(control.adapter), CountingAdapter(other.adapter)
    with armature.attach(unet, control) as attachment:
        call(unet)
        call(unet, batch=3)
        assert counting.count == 1
        call(unet, latent=(8, 16))
        assert counting.count == 2
        attachment.update(other)
        call(unet)
    assert (counting.count, counting_other.count) == (2, 1)


def test_sums_are_made_once_not_at_every_step(pipeline, monkeypatch):
    made = []
    original = armature.injection.call.mix
    monkeypatch.setattr(armature.injection.call, "mix", lambda *args: made.append(1) or original(*args))
    with armature.attach(pipeline, sketch(end=0.5)):
        SD.run(pipeline, num_inference_steps=6)
    # Two sets of active controls (on, off) at three sites.
    assert len(made) == 6


def test_the_control_follows_the_size_of_the_picture(pipeline):
    with armature.attach(pipeline, sketch()) as attachment:
        for height, width in ((64, 64), (72, 136)):
            SD.run(pipeline, height=height, width=width)
            report = attachment.report().controls[0]
            assert report.picture == (height, width)
            assert report.maps[0] == (height // 8, width // 8)


def test_odd_latents_keep_every_level_in_step(pipeline):
    with armature.attach(pipeline, sketch()) as attachment:
        SD.run(pipeline, height=264, width=136, num_inference_steps=1)
        assert attachment.report().controls[0].maps == ((33, 17), (17, 9), (9, 5))


def test_a_size_that_is_no_multiple_of_the_stride_is_padded_and_told():
    case = CASES["SDXL"]
    pipeline = case.build()
    with armature.attach(pipeline, Control(case.adapter(), drawing())) as attachment:
        case.run(pipeline, height=72, width=72, num_inference_steps=1)
        report = attachment.report().controls[0]
    assert report.picture == (80, 80)
    assert "Padded from 72 x 72 to 80 x 80 px, multiples of the adapter's 16." in report.notes


def test_padding_continues_the_edge_and_leaves_the_rest_in_place():
    case, seen = CASES["SDXL"], []
    pipeline, control = case.build(), Control(case.adapter(), drawing().resize((72, 72)))
    control.adapter.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with armature.attach(pipeline, control):
        case.run(pipeline, height=72, width=72, num_inference_steps=1)
    inner = torch.from_numpy((np.asarray(drawing().resize((72, 72))) > 127).astype(np.float32))
    assert torch.equal(seen[0][0, 0, :72, :72], inner)
    assert torch.equal(seen[0][0, 0, :72, 72:], inner[:, -1:].expand(-1, 8))


def test_every_form_of_one_control_gives_one_picture(unet, tmp_path):
    path = tmp_path / "drawing.png"
    drawing().save(path)
    array = np.asarray(drawing())
    forms = [drawing(), path, str(path), array, torch.from_numpy(array.copy())[None] / 255, [drawing()]]
    results = []
    for form in forms:
        with armature.attach(unet, Control(sd_adapter(), form)):
            results.append(call(unet))
    assert all(torch.equal(result, results[0]) for result in results)


def test_a_file_may_vanish_once_attached(unet, tmp_path):
    path = tmp_path / "drawing.png"
    drawing().save(path)
    with armature.attach(unet, Control(sd_adapter(), path)):
        path.unlink()
        assert call(unet).isfinite().all()


def test_a_mask_keeps_the_change_on_its_side(unet):
    """Looked at where the features enter; further on the U-Net spreads everything."""
    site, seen = unet.down_blocks[0].attentions[-1], []
    for controls in ([], sketch(mask=half_mask())):
        with armature.attach(unet, controls):
            handle = site.register_forward_hook(lambda module, args, output: seen.append(output[0]))
            call(unet)
            handle.remove()
    change = (seen[1] - seen[0]).abs()
    assert change[..., :4].amin(dim=(1, 2)).min() > 0
    assert change[..., 4:].max() == 0


def test_broken_weights_are_told_before_they_blacken_the_picture(unet):
    control = sketch()
    control.adapter.conv_in.weight.data[0] = torch.nan
    with (
        armature.attach(unet, control),
        pytest.raises(AttachError, match="features of the sketch adapter are not fini"),
    ):
        call(unet)


def test_a_copied_unet_works_alone_after_detach(unet):
    plain = call(unet)
    with armature.attach(unet, sketch()):
        twin = copy.deepcopy(unet)
    assert torch.equal(call(twin), plain)


def test_the_report_before_during_and_after(pipeline):
    with armature.attach(pipeline, [sketch(end=0.5), sketch(weight=0)]) as attachment:
        report = attachment.report()
        assert "not run yet" in str(report)
        assert report.controls[0].active is None
        SD.run(pipeline, num_inference_steps=4)
        report = attachment.report()
    assert (report.steps, report.calls, report.computed, report.dtype) == (4, 4, 1, "float32")
    assert report.controls[0].active == (0, 1)
    assert report.sites[0] == "down_blocks.0.attentions.0"
    assert report.batch == "1 images, 2 guidance copies"
    assert "sketch: weights 1, 1, 1; active on 2 of 4 steps (2 U-Net calls); seen at 64 x 64 px" in str(report)


def test_threads_with_other_batches_do_not_disturb_each_other(unet):
    expected, results, failures = {}, {}, []
    with armature.attach(unet, sketch()):
        for batch in (1, 2, 3, 4):
            expected[batch] = call(unet, batch=batch, latent=(8, 4 + 4 * batch))

        def work(batch):
            try:
                with torch.no_grad():
                    results[batch] = [call(unet, batch=batch, latent=(8, 4 + 4 * batch)) for _ in range(5)]
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(batch,)) for batch in expected]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures
    for batch, outputs in results.items():
        assert all(torch.equal(output, expected[batch]) for output in outputs)


def test_a_call_under_way_ends_as_it_began(unet):
    """Detaching waits for it; attaching meanwhile takes effect after it."""
    plain, inside, go_on, result = call(unet), threading.Event(), threading.Event(), {}

    def wait(*args):
        inside.set()
        assert go_on.wait(20)

    def work():
        with torch.no_grad():
            result["output"] = call(unet)

    attachment = armature.attach(unet, sketch())
    whole = call(unet)
    # Between the first site and the others.
    handle = unet.down_blocks[1].register_forward_pre_hook(wait)
    worker = threading.Thread(target=work)
    worker.start()
    assert inside.wait(20)
    handle.remove()
    second = armature.attach(unet, Control(sd_adapter(1), drawing(1)))
    leaver = threading.Thread(target=attachment.detach)
    leaver.start()
    leaver.join(0.1)
    assert leaver.is_alive()
    go_on.set()
    leaver.join(20)
    worker.join(20)
    second.detach()
    assert torch.equal(result["output"], whole)
    assert torch.equal(call(unet), plain)
    assert not hooks(unet)


def test_a_thread_that_died_inside_a_call_does_not_block_detach(unet):
    class Cut(BaseException):
        """Like KeyboardInterrupt: torch runs no hooks for it."""

    def cut(*args):
        raise Cut

    attachment = armature.attach(unet, sketch())
    handle = unet.mid_block.register_forward_pre_hook(cut)

    def work():
        with pytest.raises(Cut):
            call(unet)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    handle.remove()
    attachment.detach()
    assert not hooks(unet)
