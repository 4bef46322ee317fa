"""Threads: calls under way end as they began, and nobody waits for the dead."""

import threading

import pytest
import torch
from small_models import sd_unet, unet_inputs
from small_parts import SD_WIDTHS, drawing, sd_adapter

import armature
from armature import Control


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
