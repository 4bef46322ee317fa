"""Extractors by name, and `register`, through which other code adds extractors and kinds of control.

An extractor that comes with Armature is a file in the folder `extractors` that holds one EXTRACTOR. An installed
package adds its own by entry points, which every process finds by itself, the command line and workers included:

    [project.entry-points."armature.extractors"]
    normal = "my_package.normals:EXTRACTOR"
    [project.entry-points."armature.kinds"]
    normal = "my_package.normals:KIND"
"""

from __future__ import annotations

import pickle
import pkgutil
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module

from armature.conditions import extractors
from armature.conditions.extractor import Extractor
from armature.conditions.kinds import KINDS, Kind, find_kind, tidy_name
from armature.conditions.plugins import Plugins
from armature.errors import ConditionError


def _built_in() -> list[Extractor]:
    """One for each file of the folder; those without weights first, then those for any picture."""
    names = [module.name for module in pkgutil.iter_modules(extractors.__path__)]
    found: list[Extractor] = [import_module(f"{extractors.__name__}.{name}").EXTRACTOR for name in names]
    return sorted(found, key=lambda one: (bool(one.weights), ":" in one.name, one.name))


def _tidy(name: str) -> str:
    head, colon, tail = name.rpartition(":")
    return f"{tidy_name(head)}{colon}{tidy_name(tail)}"


EXTRACTORS: Plugins[Extractor] = Plugins("extractor", "armature.extractors", Extractor, _built_in, _tidy)


def register(*things: Kind | Extractor) -> None:
    """Add kinds of control and extractors of one's own, for this process and the workers that it starts.

    Anything that is asked about a kind is answered by its record: how its maps are resized and mirrored, what makes
    them, how fidelity is measured. What an installed package names as an entry point needs no `register`.
    Raises ConditionError when a name is taken, and for anything that is neither a Kind nor an Extractor.

    Example:
        >>> from armature.conditions.contract import InputContract
        >>> normal = InputContract("normal", 3, "RGB")
        >>> register(
        ...     Kind("normal", "which way surfaces face", normal, extractor="normal", measure="map_error"),
        ...     Extractor("normal", "normal", "normals by my network", run=my_normals, contract=normal),
        ... )
    """
    for thing in things:
        _place(thing).add(thing)


def unregister(*things: Kind | Extractor) -> None:
    """Take back what `register` added; raises ConditionError for anything else."""
    for thing in things:
        _place(thing).remove(thing.name)


def _place(thing: Kind | Extractor) -> Plugins:
    if isinstance(thing, Kind):
        return KINDS
    if isinstance(thing, Extractor):
        return EXTRACTORS
    raise ConditionError(f"A {type(thing).__name__} was registered; expected a Kind or an Extractor.")


def registered_here() -> tuple[Kind | Extractor, ...]:
    """What `register` added in this process, to be handed to `register_in_worker` of another.

    Raises ConditionError for what cannot be sent there, such as a function that is defined inside another.
    """
    things = (*KINDS.registered, *EXTRACTORS.registered)
    for thing in things:
        try:
            pickle.dumps(thing)
        except Exception as error:  # whatever the thing's own parts raise
            raise ConditionError(f"{UNREACHABLE.format(repr(thing.name))} ({error})") from error
    return things


UNREACHABLE = (
    "What was registered as {} cannot reach other processes: define its functions at the top of a module that can be "
    "imported, or name it as an entry point 'armature.extractors' or 'armature.kinds' of a package; or use one process."
)


def register_in_worker(things: Iterable[Kind | Extractor]) -> None:
    """Take over what `registered_here` gave in the parent; what this process registered by itself gives way."""
    for thing in things:
        _place(thing).add(thing, again=True)


def extractor_names() -> tuple[str, ...]:
    """The names of all extractors: those that need no weights first, those of other packages last."""
    return EXTRACTORS.names()


def find_extractor(name: str) -> Extractor:
    """The extractor of a name, of another tool's name, or the usual one of a kind.

    "pidinet" is the network of that name, "sketch" the classical extractor that works without weights.
    Raises ConditionError for an unknown name, with the known ones and the nearest, and for "style", which has no map.
    """
    found = EXTRACTORS.get(name)
    if found is not None:
        presets = {_tidy(alias): values for alias, values in found.aliases.items()}.get(_tidy(name))
        return replace(found, presets=presets) if presets else found
    kind = KINDS.get(name)
    if kind is not None:
        return find_extractor(default_extractor(kind.name))
    near = get_close_matches(_tidy(name), [*EXTRACTORS.all_names(), *KINDS.all_names()], n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    known = ", ".join(extractor_names())
    raise ConditionError(
        " ".join([f"Unknown extractor {name!r}; known extractors: {known}.{hint}", *EXTRACTORS.problems])
    )


def default_extractor(kind: str, *, embedded: bool = False) -> str:
    """The name of the extractor that makes the maps of a kind, where the user names none.

    embedded: whether it reads pictures of the base that ships with Armature, for which some kinds have another.
    Raises ConditionError for an unknown kind, and for one that has no map.
    """
    record = find_kind(kind)
    name = record.embedded_extractor if embedded and record.embedded_extractor else record.extractor
    if name is None:
        raise ConditionError(f"{record.name!r} has no map to extract ({record.summary}); give what its adapter takes.")
    return name
