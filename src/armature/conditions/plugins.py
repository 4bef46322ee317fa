"""Things that other packages may add: built in, registered in Python, or entry points of installed packages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, Protocol, TypeVar

from armature.errors import ConditionError


class Named(Protocol):
    """Anything with a name and the names that other tools give it."""

    @property
    def name(self) -> str:
        """Its own name."""
        ...

    @property
    def aliases(self) -> Iterable[str]:
        """Its other names."""
        ...


T = TypeVar("T", bound=Named)


class Plugins(Generic[T]):
    """Things of one sort, found by any of their names; all names are tidied first.

    title: what messages call one of them. group: of the entry points, each of which names an object of the type
    `sort`. built_in: makes the ones that come with Armature, at the first question. tidy: a name's one spelling.
    What is built in is answered without a look at other packages; they are imported at the first name that is
    unknown, or when all are listed, and one that cannot be loaded harms no other: it is told in `problems`.
    """

    def __init__(
        self, title: str, group: str, sort: type[T], built_in: Callable[[], Iterable[T]], tidy: Callable[[str], str]
    ) -> None:
        self.title, self.group = title, group
        self._sort, self._built_in, self._tidy = sort, built_in, tidy
        self._things: dict[str, T] = {}
        self._names: dict[str, str] = {}
        self._registered: dict[str, T] = {}
        self._problems: list[str] = []
        self._filled = self._searched = False
        self._lock = threading.RLock()

    def get(self, name: str) -> T | None:
        """The thing of a name or alias, or None."""
        tidy = self._tidy(name)
        with self._lock:
            self._fill()
            if tidy not in self._names:
                self._search()
            found = self._names.get(tidy)
            return None if found is None else self._things[found]

    def add(self, thing: T, *, again: bool = False) -> None:
        """Add one. Raises ConditionError when one of its names is taken.

        again: a thing of this name that was added before is replaced, as in a worker that its parent tells.
        """
        with self._lock:
            self._fill()
            if again and thing.name in self._registered:
                self._forget(thing.name)
            elif not again:
                self._search()
            self._put(thing)
            self._registered[thing.name] = thing

    def remove(self, name: str) -> None:
        """Take back what `add` added; ConditionError for anything else."""
        with self._lock:
            if name not in self._registered:
                raise ConditionError(f"No {self.title} {name!r} was registered here; it cannot be taken back.")
            self._forget(name)

    @property
    def registered(self) -> tuple[T, ...]:
        """What `add` added in this process, in that order."""
        return tuple(self._registered.values())

    @property
    def problems(self) -> tuple[str, ...]:
        """What was wrong with entry points, a sentence each."""
        return tuple(self._problems)

    def names(self) -> tuple[str, ...]:
        """The names of all, without aliases: first what is built in, then what others add."""
        return tuple(thing.name for thing in self)

    def all_names(self) -> tuple[str, ...]:
        """The same with aliases."""
        with self._lock:
            list(self)
            return tuple(self._names)

    def __iter__(self) -> Iterator[T]:
        with self._lock:
            self._fill()
            self._search()
            return iter(tuple(self._things.values()))

    def _fill(self) -> None:
        if not self._filled:
            self._filled = True
            for thing in self._built_in():
                self._put(thing)

    def _search(self) -> None:
        """Load the entry points, once."""
        if self._searched:
            return
        self._searched = True
        for point in entry_points(group=self.group):
            try:
                self._put(self._loaded(point))
            except Exception as error:  # a foreign package may fail in any way, and must not take this program along
                package = f" of {point.dist.name}" if point.dist is not None else ""
                self._problems.append(
                    f"The {self.title} {point.name!r}{package} ({point.value}) cannot be used "
                    f"({type(error).__name__}: {error}); mend that package, or remove it."
                )

    def _loaded(self, point: EntryPoint) -> T:
        thing = point.load()
        if not isinstance(thing, self._sort):
            raise ConditionError(f"it is a {type(thing).__name__}, not a {self._sort.__name__}")
        return thing

    def _put(self, thing: T) -> None:
        names = dict.fromkeys(self._tidy(name) for name in (thing.name, *thing.aliases))
        for name in names:
            if name in self._names:
                owner = self._names[name]
                of = "" if owner == name else f" ({owner})"
                raise ConditionError(f"The {self.title} {name!r}{of} exists; choose another name for {thing.name!r}.")
        self._things[thing.name] = thing
        self._names.update(dict.fromkeys(names, thing.name))

    def _forget(self, name: str) -> None:
        del self._things[name], self._registered[name]
        self._names = {alias: target for alias, target in self._names.items() if target != name}
