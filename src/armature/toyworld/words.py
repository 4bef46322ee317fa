"""The vocabulary of captions: nouns of every class, and how grounds, hours and styles are called."""

from __future__ import annotations

# (singular, plural) of every class; a word given twice is the usual one.
NOUNS: dict[str, tuple[tuple[str, str], ...]] = {
    "house": (("house", "houses"), ("house", "houses"), ("cottage", "cottages"), ("home", "homes"), ("hut", "huts")),
    "tree": (("tree", "trees"),),
    "boat": (("boat", "boats"), ("boat", "boats"), ("sailboat", "sailboats"), ("ship", "ships")),
    "car": (("car", "cars"),),
    "ball": (("ball", "balls"),),
    "cat": (("cat", "cats"), ("cat", "cats"), ("kitten", "kittens")),
    "bird": (("bird", "birds"),),
    "person": (
        ("person", "people"),
        ("person", "people"),
        ("child", "children"),
        ("kid", "kids"),
        ("figure", "figures"),
    ),
    "flower": (("flower", "flowers"),),
    "mushroom": (("mushroom", "mushrooms"), ("mushroom", "mushrooms"), ("toadstool", "toadstools")),
    "balloon": (("balloon", "balloons"), ("hot air balloon", "hot air balloons")),
    "rocket": (("rocket", "rockets"),),
    "dog": (("dog", "dogs"), ("dog", "dogs"), ("puppy", "puppies")),
    "horse": (("horse", "horses"), ("horse", "horses"), ("pony", "ponies")),
    "elephant": (("elephant", "elephants"),),
    "fish": (("fish", "fish"),),
    "butterfly": (("butterfly", "butterflies"),),
    "train": (("train", "trains"),),
    "plane": (("plane", "planes"), ("airplane", "airplanes")),
    "castle": (("castle", "castles"),),
    "snowman": (("snowman", "snowmen"),),
}
# Where things stand; what floats in the air is over it, what swims is in it.
GROUND: dict[str, tuple[str, ...]] = {
    "grass": ("on grass", "on the grass", "on a meadow", "on a green lawn", "in a field", "in a park"),
    "sand": ("on sand", "on the sand", "on a beach", "on the beach", "in the desert"),
    "snow": ("on snow", "in the snow", "in a snowy field", "in winter"),
    "water": ("on water", "on the water", "on a lake", "on the sea", "on the ocean"),
    "street": ("on a street", "on a road", "in a town", "in the city"),
}
TIME: dict[str, tuple[str, ...]] = {
    "day": ("by day", "under a blue sky", "on a bright day", "on a summer day"),
    "sunset": ("at sunset", "at dusk", "in the evening", "under an orange sky"),
    "night": ("at night", "under the moon", "under a starry sky", "in the dark"),
    "overcast": ("under a grey sky", "on a cloudy day", "in dull weather"),
}
# True of days without clouds, and of days on which the sun is seen.
CLEAR = "under a clear sky"
SUNNY = "on a sunny day"
STYLE: dict[str, tuple[str, ...]] = {
    "flat": ("flat colours", "a flat picture", "vector art"),
    "outlined": ("with dark outlines", "a cartoon", "comic style"),
    "pastel": ("in pastel colours", "a pastel picture", "soft pastel"),
    "crayon": ("a crayon drawing", "drawn with crayons", "crayon style"),
    "paper": ("a paper cut-out", "cut from paper", "paper collage"),
}
NUMBERS: dict[int, tuple[str, ...]] = {
    1: ("a", "a", "a", "one"),
    2: ("two", "two", "two", "a pair of"),
    3: ("three",),
    4: ("four",),
    5: ("five",),
}
BIG: tuple[str, ...] = ("big", "big", "large", "huge")
SMALL: tuple[str, ...] = ("small", "small", "little", "tiny")


def colour_is_named(text: str, name: str, colour: str) -> bool:
    """Whether a caption gives a class this colour: "a red house"; of snowmen it is the hat's."""
    if name == "snowman":
        return any(f"{colour} {hat}" in text for hat in ("hat", "hats"))
    padded = f" {text} ".replace(",", " ")
    return any(f" {colour} {noun} " in padded for pair in NOUNS[name] for noun in pair)
