"""What a data set is like before anything is trained on it, for the dry run and the start of a training."""

from __future__ import annotations

from dataclasses import dataclass

from armature.data.sources.bad import Problem, Sort

_WORDS: dict[Sort, str] = {
    "picture": "picture missing, unreadable or too large",
    "caption": "caption missing, empty or unreadable",
    "condition": "condition map missing or unusable",
}


@dataclass(frozen=True)
class DataReport:
    """name: of the data. samples: looked at. training, held_out: usable ones, by what they are for.

    buckets: (width, height) and the number of training samples in it, from the tallest to the widest.
    small: usable samples smaller than their bucket, which are enlarged; smallest: the key and size of the worst.
    bad: those that were left out, with why. notes: what does not look right in some samples that were tried.
    """

    name: str
    samples: int
    training: int
    held_out: int
    buckets: tuple[tuple[tuple[int, int], int], ...]
    small: int
    smallest: tuple[str, tuple[int, int]] | None
    bad: tuple[tuple[str, Problem], ...]
    notes: tuple[str, ...]

    def bad_of(self, sort: Sort) -> int:
        """How many are bad for this part of them; missing pairs are "condition", empty captions "caption"."""
        return sum(problem.sort == sort for _, problem in self.bad)

    def lines(self, shown: int = 10) -> list[str]:
        """The report as lines of text, the first `shown` bad samples by name."""
        text = [
            f"{self.name}: {self.samples} samples, {self.training} to train on, {self.held_out} held out, "
            f"{len(self.bad)} bad"
        ]
        text += [f"  {width} x {height} px: {count} samples" for (width, height), count in self.buckets]
        if self.small and self.smallest is not None:
            key, (width, height) = self.smallest
            text.append(
                f"  {self.small} samples are smaller than their bucket and are enlarged (such as {key}, {width} x "
                f"{height} px); take a smaller data.resolution, or remove them"
            )
        text += [f"  {count} bad: {words}" for sort, words in _WORDS.items() if (count := self.bad_of(sort))]
        text += [f"    {key}: {problem.reason}" for key, problem in self.bad[:shown]]
        if len(self.bad) > shown:
            text.append(f"    and {len(self.bad) - shown} more")
        return text + [f"  note: {note}" for note in self.notes]
