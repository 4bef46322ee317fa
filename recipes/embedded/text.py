"""Make the tokenizer and teach the text encoder what captions say: python recipes/embedded/text.py RUN.

The vocabulary is byte-pair merges learnt from toyworld captions, in CLIP's file format. The encoder first learns to
name a scene's contents from its caption alone, which is cheap; the denoiser then starts from states that already bind
colours to objects, and both go on learning together.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from run import Run, arguments, averaged, precision
from store import HELD_OUT
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from armature.bases.card import words_of
from armature.toyworld.caption import BIG_FROM, SMALL_UP_TO, caption, relative_size
from armature.toyworld.layout import MOST_OBJECTS, Plan, plan_scene
from armature.toyworld.palette import COLOUR_NAMES, GROUNDS, OBJECTS, STYLES, TIMES

LENGTH = 40
WIDTH = 192
VOCABULARY = 1400
# Scenes whose captions teach the vocabulary and the encoder; planning one costs next to nothing.
CAPTIONS = 60_000


def make_tokenizer(captions: list[str], folder: Path) -> CLIPTokenizer:
    """Learn merges from the captions, save CLIP-format files to the folder and load them back as a CLIPTokenizer."""
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "removed"),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.ByteLevel(False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    learner.train_from_iterator(captions, trainer)
    learnt = json.loads(learner.to_str())["model"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learnt["merges"]]
    names = [*alphabet, *(letter + "</w>" for letter in alphabet)]
    names += [a + b for a, b in merges if a + b not in names]
    names += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {name: index for index, name in enumerate(dict.fromkeys(names))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n")
    tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=LENGTH)
    tokenizer.save_pretrained(folder)
    return tokenizer


def build(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The untrained text encoder for this vocabulary."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            projection_dim=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=3,
            num_attention_heads=6,
            max_position_embeddings=LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def contents(plan: Plan) -> np.ndarray:
    """What is in a scene as 0/1 answers: classes with colours, counts, sides and sizes; sky, ground, hour and style."""
    pairs = np.zeros((len(OBJECTS), len(COLOUR_NAMES)), np.float32)
    counts = np.zeros((len(OBJECTS), MOST_OBJECTS), np.float32)
    sides = np.zeros((len(OBJECTS), 3), np.float32)
    sizes = np.zeros((len(OBJECTS), 2), np.float32)
    for thing in plan.objects:
        row = OBJECTS.index(thing.name)
        pairs[row, COLOUR_NAMES.index(thing.colour)] = 1
        counts[row, sum(other.name == thing.name for other in plan.objects) - 1] = 1
        sides[row, min(2, int(3 * max(thing.x, 0.0) / plan.size))] = 1
        size = relative_size(thing, plan)
        sizes[row] = np.maximum(sizes[row], (size <= SMALL_UP_TO, size >= BIG_FROM))
    setting = np.zeros(len(GROUNDS) + len(TIMES) + len(STYLES), np.float32)
    setting[GROUNDS.index(plan.ground)] = 1
    setting[len(GROUNDS) + TIMES.index(plan.time)] = 1
    setting[len(GROUNDS) + len(TIMES) + STYLES.index(plan.style)] = 1
    sky = np.array([bool(plan.clouds), plan.light is not None, plan.hills], np.float32)
    return np.concatenate([pairs.ravel(), counts.ravel(), sides.ravel(), sizes.ravel(), setting, sky])


def captions_of(seed: int, count: int) -> list[str]:
    """Several captions of one scene in different words; the same seed always gives the same ones."""
    plan = plan_scene(np.random.default_rng(seed), 128)
    return [caption(plan, np.random.default_rng([seed, way])) for way in range(count)]


def words_taught(scenes: int = 20_000) -> list[str]:
    """Every word of the captions of so many scenes, in alphabetical order; rarer words do not exist."""
    return sorted({word for seed in range(scenes) for text in captions_of(seed, 4) for word in words_of(text)})


def examples(tokenizer: CLIPTokenizer, first: int, count: int) -> tuple[Tensor, Tensor]:
    """Token ids (count, LENGTH) and contents (count, answers) of freshly planned scenes."""
    texts = [captions_of(seed, 1)[0] for seed in range(first, first + count)]
    answers = [contents(plan_scene(np.random.default_rng(seed), 128)) for seed in range(first, first + count)]
    ids = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt").input_ids
    return ids, torch.from_numpy(np.stack(answers))


def main() -> None:
    """Write RUN/tokenizer and RUN/text_encoder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    given = arguments(parser, pictures=120_000, batch=64)
    torch.manual_seed(0)
    captions = [text for seed in range(CAPTIONS) for text in captions_of(seed, 1)]
    tokenizer = make_tokenizer(captions, given.run / "tokenizer")
    longest = max(len(ids) for ids in tokenizer(captions[:5000]).input_ids)
    print(json.dumps({"vocabulary": len(tokenizer), "longest": longest}), flush=True)
    ids, answers = examples(tokenizer, 0, CAPTIONS)
    held_ids, held_answers = examples(tokenizer, HELD_OUT, 1000)
    encoder = build(tokenizer).to(given.device)
    head = nn.Linear(WIDTH, answers.shape[1]).to(given.device)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            pick = torch.randint(len(ids), (given.batch,))
            yield ids[pick].to(given.device), answers[pick].to(given.device)

    def loss(data: tuple[Tensor, Tensor]) -> Tensor:
        with precision(given.device):
            said = head(encoder(data[0]).pooler_output)
        return F.binary_cross_entropy_with_logits(said.float(), data[1]) * 20

    @torch.no_grad()
    def preview() -> dict[str, float]:
        said = head(encoder(held_ids.to(given.device)).pooler_output).cpu() > 0
        pairs = len(OBJECTS) * len(COLOUR_NAMES)
        right = (said[:, :pairs] == (held_answers[:, :pairs] > 0.5)).all(1).float().mean().item()
        return {"held_out_captions_with_all_coloured_objects_right": round(right, 4)}

    modules: dict[str, nn.Module] = {"encoder": encoder, "head": head}
    run = Run(
        given.run,
        modules,
        given.pictures,
        given.batch,
        1.5e-3 * given.rate_factor,
        loss,
        batches(),
        pause_after=given.pause_after,
        preview=preview,
        preview_minutes=1,
    )
    run.train()
    if not run.finished:
        return
    averaged(given.run, modules)
    encoder.cpu().save_pretrained(given.run / "text_encoder")


if __name__ == "__main__":
    main()
