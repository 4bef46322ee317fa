"""Threads: calls under way end as they began, and nobody waits for the dead."""

import threading

import pytest
import torch
from small_models import sd_unet, unet_inputs
from small_parts import SD_WIDTHS, drawing, sd_adapter
from small_pipelines import CASES

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


def test_a_thread_that_left_a_call_by_the_keyboard_and_lives_does_not_block_detach(unet):
    def cut(*args):
        raise KeyboardInterrupt

    attachment = armature.attach(unet, sketch())
    handle = unet.mid_block.register_forward_pre_hook(cut)
    with pytest.raises(KeyboardInterrupt):
        call(unet)
    handle.remove()
    leaver = threading.Thread(target=attachment.detach)
    leaver.start()
    leaver.join(20)
    assert not leaver.is_alive()
    assert not hooks(unet)


def test_a_second_thread_that_would_control_everybodys_calls_is_refused(unet):
    attached, go_on = threading.Event(), threading.Event()

    def work():
        with armature.attach(unet, sketch()):
            attached.set()
            assert go_on.wait(20)

    worker = threading.Thread(target=work, name="first")
    worker.start()
    assert attached.wait(20)
    with pytest.raises(AttachError, match="Thread 'first' has controls attached to this U-Net, which act on calls of"):
        armature.attach(unet, sketch())
    with armature.attach(unet, sketch(), own_thread=True):
        pass
    go_on.set()
    worker.join(20)
    with armature.attach(unet, sketch()):
        pass
    assert not hooks(unet)


@pytest.mark.parametrize("threads", [2, 8])
def test_threads_on_one_unet_keep_their_controls_to_themselves(threads):
    """Each with a pipeline of its own around one U-Net, as a server does it; every second one without a control."""
    case = CASES["SD"]
    shared = case.build()
    pipelines = [type(shared)(**{**shared.components, "scheduler": _fresh(shared)}) for _ in range(threads)]
    for pipeline in pipelines:
        pipeline.set_progress_bar_config(disable=True)
    adapter = case.adapter()
    wanted = [
        [] if index % 2 else Control(adapter, drawing(index // 2 % 3), weight=2.0 + index) for index in range(threads)
    ]

    def one(index):
        with torch.no_grad(), armature.attach(pipelines[index], wanted[index], own_thread=True):
            return case.run(pipelines[index], num_inference_steps=2)

    expected, results = [one(index) for index in range(threads)], {}

    def work(index):
        results[index] = [one(index) for _ in range(2)]

    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for index in range(threads):
        assert all(torch.equal(image, expected[index]) for image in results[index])
    assert not torch.equal(expected[0], expected[1])
    assert not hooks(shared.unet)


def _fresh(pipeline):
    return type(pipeline.scheduler).from_config(pipeline.scheduler.config)
