"""Whether a sample may be mirrored: not when its caption speaks of sides or of writing."""

from __future__ import annotations

import re

from armature.data.settings import Flip

_WORDS = re.compile(
    r"\b(left|right|leftmost|rightmost|left-hand|right-hand|clockwise|counterclockwise|anticlockwise|"
    r"text|texts|letters?|lettering|words?|writing|written|handwriting|handwritten|signs?|signpost|signposts|signage|"
    r"numbers?|numerals?|digits?|logos?|labels?|labell?ed|captions?|titles?|titled|inscriptions?|inscribed|"
    r"calligraphy|graffiti|typography|alphabet|monogram|watermarks?|banners?|billboards?|posters?|newspapers?|"
    r"license plates?|licence plates?|number plates?|clocks?|maps?|saying|says|reads|reading)\b",
    re.IGNORECASE,
)
# Double quotation marks of any language, or single ones around something.
_QUOTED = re.compile("[\"\u201c\u201d\u201e\u00ab\u00bb]|(?<!\\w)['\u2018].+?['\u2019](?!\\w)")


def may_flip(caption: str, flip: Flip) -> bool:
    """Whether a sample with this caption may be mirrored.

    "text-safe" refuses for words about left and right, about writing and things that bear it, and for quoted words;
    it rather refuses too often than once too few.
    """
    if flip == "text-safe":
        return not (_WORDS.search(caption) or _QUOTED.search(caption))
    return flip == "always"
