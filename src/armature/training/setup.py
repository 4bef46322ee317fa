"""From a recipe to the models of a training: the frozen base, the contract, and the adapter to be trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from armature.adapters.base import Adapter, AdapterCard, BaseShape
from armature.adapters.readers import reader_notes
from armature.adapters.registry import NETWORKS, build_adapter, find_network
from armature.adapters.spec import AdapterSpec, MapShape
from armature.bases.card import EMBEDDED
from armature.bases.glance import glance_at
from armature.bases.open import Base, open_base
from armature.bases.schedule import NoiseSchedule
from armature.conditions.contract import InputContract
from armature.conditions.kinds import contract_for
from armature.devices import PRECISIONS, DeviceSpec
from armature.errors import CheckpointError, RecipeError
from armature.files import public_name
from armature.injection.sites import find_sites
from armature.training.init_from import InitReport, check_family, init_from, load_source
from armature.training.recipe.model import AdapterSettings, Precision, Recipe
from armature.training.trainer.step import freeze


@dataclass(frozen=True, eq=False)
class Setup:
    """The models of one training.

    base: opened, frozen, in its own precision. adapter: float32 weights on the same device, in training mode.
    precision: of the arithmetic around the adapter. init_report: what was taken from `adapter.init_from`, or None.
    """

    recipe: Recipe
    base: Base
    contract: InputContract
    adapter: Adapter
    precision: torch.dtype
    init_report: InitReport | None

    @property
    def stride(self) -> int:
        """Sides of pictures and maps are multiples of it, in pixels: a whole cell of the latent and of the stem."""
        return max(self.base.stride, self.adapter.spec.size_multiple)

    @property
    def device(self) -> torch.device:
        """Where everything is."""
        return self.base.place.device

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know before training starts."""
        taken = () if self.init_report is None else self.init_report.notes
        # Both layouts are written at the end; a program that reads either is served.
        return (*taken, *reader_notes(type(self.adapter).readers(self.adapter.spec)))


def set_up(recipe: Recipe, *, device: torch.device | str | None = None) -> Setup:
    """Open the base and build the adapter that a recipe describes.

    device: left out, the machine's best. The adapter's first weights follow train.seed alone.
    Raises CheckpointError for a base or a start that cannot be opened; RecipeError, which names both, for a base and
    an adapter that do not fit, and for a base that cannot be trained on.
    """
    place = base_place(recipe, device)
    start = None if recipe.adapter.init_from is None else load_source(recipe.adapter.init_from)
    # A wrong start is told by the base's headers: a large base takes minutes to read.
    if start is not None and (family := glance_at(recipe.base.model, recipe.base.config).family) is not None:
        check_family(start, family.adapters, public_name(recipe.base.model))
    base = open_base(recipe.base.model, vae=recipe.base.vae, config=recipe.base.config, place=place)
    freeze(*(part for part in base.pipeline.components.values() if isinstance(part, torch.nn.Module)))
    _check_base(base, recipe)
    contract = training_contract(recipe.adapter, base, start)
    spec = adapter_spec(recipe.adapter, base, contract, None if start is None else start.spec)
    card = AdapterCard(kind=recipe.adapter.kind, family=base.family.adapters, contract=contract)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.train.seed)
        adapter = build_adapter(spec, card)
    report = None if start is None else init_from(adapter, start, base.name)
    adapter.to(device=base.place.device, dtype=torch.float32).train()
    return Setup(recipe, base, contract, adapter, training_precision(recipe, base), report)


def base_place(recipe: Recipe, device: torch.device | str | None = None) -> DeviceSpec:
    """Device and precision of the base: "auto" is bfloat16 on a GPU that has it, else float16; float32 elsewhere.

    Raises RecipeError for a device that this machine does not have, and for half precision on a CPU.
    """
    # DeviceSpec's own choice of a precision is for generating; only its device is used here.
    chosen = DeviceSpec.choose(device, torch.float32).device
    return DeviceSpec(chosen, _precision(recipe.base.precision, chosen, "base.precision"))


def training_precision(recipe: Recipe, base: Base) -> torch.dtype:
    """Of the arithmetic around the adapter; "auto" is the base's."""
    if recipe.train.precision == "auto":
        return base.place.dtype
    return _precision(recipe.train.precision, base.place.device, "train.precision")


def training_contract(settings: AdapterSettings, base: Base, start: Adapter | None = None) -> InputContract:
    """How condition maps must look: the kind's contract in the base's family, with the recipe's channels.

    start: an adapter of the same kind passes on its channels where the recipe leaves them open.
    """
    channels: int | None = settings.channels
    if channels is None and start is not None and start.card.kind == settings.kind:
        channels = start.spec.picture_channels if start.spec.picture_channels in (1, 3) else None
    source = f"{EMBEDDED}:{settings.kind}" if base.embedded else None
    return contract_for(settings.kind, in_channels=channels, family=base.family.adapters, source=source)


def adapter_spec(
    settings: AdapterSettings, base: Base, contract: InputContract, start: AdapterSpec | None = None
) -> AdapterSpec:
    """The network that a recipe asks for, with the widths of the base's own U-Net.

    start: of the adapter that the training starts from; what the recipe cannot say, or leaves out, is taken from it.
    Raises RecipeError, naming base and adapter, when such a network does not fit the base.
    """
    shape = base_shape(base)
    name = settings.network if settings.network != "auto" else _usual_network(shape, contract)
    network = find_network(name)
    options = {"blocks": settings.blocks or 0, "divisor": settings.divisor}
    like = start if start is not None and start.network == name else None
    try:
        spec = network.spec_for(shape, channels=contract.channels, options=options, start=like)
    except CheckpointError as error:
        raise RecipeError(f"{_pair(name, settings, base)} do not fit: {error}") from error
    _check_fit(spec, shape, settings, contract, base)
    return spec


def base_shape(base: Base) -> BaseShape:
    """What the base takes of an adapter."""
    sites = find_sites(base.pipeline.unet).all
    return BaseShape(tuple(MapShape(site.channels, base.stride * 2**site.halvings) for site in sites), base.stride)


def _check_fit(
    spec: AdapterSpec, shape: BaseShape, settings: AdapterSettings, contract: InputContract, base: Base
) -> None:
    """Every feature map must meet an output of its own size."""
    strides, wanted = [one.stride for one in spec.maps], [one.stride for one in shape.maps]
    if strides != wanted:
        raise RecipeError(
            f"{_pair(spec.network, settings, base)} do not fit: the network's maps are the picture's size divided by "
            f"{strides}, and {find_sites(base.pipeline.unet).title} takes {wanted}. Use adapter.network = "
            f"'{_usual_network(shape, contract)}', or 'auto'."
        )


def _check_base(base: Base, recipe: Recipe) -> None:
    if base.inpaints:
        raise RecipeError(
            f"base.model {base.name!r} is an inpainting model (9 channels); train on the plain model of its family, "
            "whose adapters fit it as well."
        )
    if base.family.makes_clips:
        raise RecipeError(
            f"base.model {base.name!r} makes clips ({base.family.title}); train on the model of pictures that it is "
            "built on, whose adapters fit it as well."
        )
    try:
        NoiseSchedule.of(base.pipeline.scheduler)
    except RecipeError as error:
        raise RecipeError(f"base.model {base.name!r} cannot be trained on: {error}") from error


def _usual_network(shape: BaseShape, contract: InputContract) -> str:
    """The first network from a condition map whose features meet the base's sites."""
    for name, network in NETWORKS.items():
        if network.takes == "condition map":
            try:
                spec = network.spec_for(shape, channels=contract.channels, options={})
            except CheckpointError:
                continue
            if spec.maps == shape.maps:
                return name
    raise RecipeError(
        f"No network gives maps of the strides {[one.stride for one in shape.maps]} that this base takes."
    )


def _pair(network: str, settings: AdapterSettings, base: Base) -> str:
    return f"The {network} adapter for {settings.kind} and the base {base.name!r} ({base.family.title})"


def _precision(name: Precision, device: torch.device, key: str) -> torch.dtype:
    if name != "auto":
        dtype = PRECISIONS[name]
        if dtype == torch.float16 and device.type == "cpu":
            raise RecipeError(f"{key} is 'float16', in which a CPU cannot train; use 'auto', or 'bfloat16'.")
        return dtype
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.float32
