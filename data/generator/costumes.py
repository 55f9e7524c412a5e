"""The second training cast: the same bodies, dressed from a wider wardrobe.

Networks trained on rendered people know real ones the better, the richer the clothes were
(RandPerson, Wang et al., 2020; ClonedPerson, Wang et al., 2022). A costume adds what `identities`
leaves out: woven patterns of three colours, prints and logos on chest and back, jackets worn wide
open, hems and sleeves of a layer below, two-tone bags in many sizes, and colours drawn instead of
named. Most clothes are black, grey, blue or beige; a few are loud, bags and shoes more often.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from . import identities
from .garments import OPEN_OUTER, Cut
from .identities import CLOTH, Identity

Colour = tuple[float, float, float]

# Numbers of shaders/wardrobe.glsl.
WEAVES = (
    "as named", "plain", "broad stripes", "uneven stripes", "upright stripes", "gingham", "tartan",
    "herringbone", "diamonds", "dots", "camouflage", "blossoms", "fading", "chest block",
    "slanting", "window pane", "scattered", "side panels",
)  # fmt: skip
MOTIFS = ("none", "lines of text", "letter", "disc", "ring", "star", "picture", "cross", "banner")
BAG_DESIGNS = ("plain", "lid", "pocket", "upright stripe", "disc", "patterned")

# Dyes beyond those that plaza's people wear, in linear light.
DYES = CLOTH | {
    "jet": (0.008, 0.008, 0.009),
    "royal": (0.03, 0.07, 0.38),
    "sky": (0.22, 0.42, 0.62),
    "turquoise": (0.06, 0.34, 0.36),
    "green": (0.04, 0.20, 0.07),
    "lime": (0.38, 0.52, 0.08),
    "yellow": (0.66, 0.48, 0.05),
    "pink": (0.62, 0.16, 0.27),
    "purple": (0.11, 0.035, 0.19),
    "cream": (0.62, 0.56, 0.44),
}
_QUIET = dict(
    jet=10, black=17, charcoal=9, grey=8, navy=11, denim=3, beige=4, khaki=3, brown=4, olive=4,
    white=6, cream=3, burgundy=2.5, blue=3, royal=1.5, red=2, teal=1, green=1.5, purple=1, pink=1,
    mustard=1, orange=0.7, yellow=0.7, sky=1,
)  # fmt: skip
_QUIET |= {"light grey": 4, "light blue": 2, "dark green": 2, "dusty pink": 1, "light denim": 1}
PALETTES = {
    "top": _QUIET | {"white": 16, "light grey": 7, "jet": 6, "red": 3, "light blue": 4, "royal": 3},
    "outer": _QUIET | {"white": 3, "black": 22, "navy": 14},
    "bottom": {
        "jet": 10, "black": 18, "charcoal": 8, "navy": 12, "denim": 16, "light denim": 6, "grey": 7,
        "beige": 6, "khaki": 6, "brown": 3, "olive": 4, "light grey": 3, "white": 2, "cream": 1,
        "burgundy": 1, "red": 0.6, "blue": 1.5,
    },
    "shorts": {
        "jet": 6, "black": 9, "navy": 8, "denim": 12, "light denim": 7, "grey": 8, "beige": 12,
        "khaki": 11, "olive": 6, "white": 5, "red": 2, "blue": 3, "brown": 3, "royal": 2,
        "cream": 4,
    },
    "bag": {
        "jet": 12, "black": 20, "charcoal": 9, "navy": 9, "brown": 8, "grey": 6, "olive": 4,
        "beige": 4, "burgundy": 3, "red": 5, "royal": 3, "blue": 3, "teal": 3, "green": 2,
        "turquoise": 2, "yellow": 3, "orange": 3, "pink": 3, "purple": 2, "white": 3, "cream": 2,
    },
    "shoe": {
        "white": 24, "black": 26, "jet": 6, "grey": 10, "navy": 7, "brown": 8, "beige": 5, "red": 4,
        "blue": 3, "royal": 2, "orange": 1.5, "lime": 1, "pink": 1.5, "green": 1,
    },
    "ink": {
        "white": 30, "cream": 6, "black": 16, "grey": 6, "red": 8, "royal": 6, "sky": 5,
        "yellow": 6, "orange": 4, "pink": 4, "turquoise": 3, "green": 3, "navy": 4, "lime": 2,
        "purple": 2,
    },
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Costume(Identity):
    """A person of the second cast; colours are linear, lengths metres, the rest shares."""

    top_rgb: Colour
    top_inks: tuple[Colour, Colour]
    top_weave: str
    outer_rgb: Colour
    outer_inks: tuple[Colour, Colour]
    outer_weave: str
    bottom_rgb: Colour
    bottom_inks: tuple[Colour, Colour]
    bottom_weave: str
    weave_scale: float
    print_front: str
    print_back: str
    print_size: float  # half width in metres
    print_place: tuple[float, float]  # metres from the middle, torso coordinate
    sleeve_split: float  # arm coordinate from which on a sleeve has the second colour; 2 for never
    hem_band: float  # torso coordinate, height of a lower layer that shows under the hem
    yoke: float  # torso coordinate from which on a jacket has its second colour; 2 for nowhere
    opening: float  # half width of an open front
    bag_rgb: Colour
    bag_ink: Colour
    bag_design: str
    hat_rgb: Colour
    hat_ink: Colour
    shoe_rgb: Colour
    sole_rgb: Colour
    loose: float  # added between body and top
    bag_size: float

    def recut(self, cuts: Cut) -> Cut:
        """Open fronts as wide as this person wears them."""
        if self.outer not in OPEN_OUTER:
            return cuts
        return replace(cuts, outer_open=self.opening)


def dye(rng: np.random.Generator, palette: str, unlike: Colour | None = None) -> Colour:
    """Draw a colour of a palette, no two alike; `unlike` keeps away from a neighbour's colour."""
    names, weights = list(PALETTES[palette]), np.array(list(PALETTES[palette].values()), float)
    for _ in range(20):
        base = np.array(DYES[names[rng.choice(len(names), p=weights / weights.sum())]])
        faded = base.mean() + (base - base.mean()) * rng.uniform(0.55, 1.1)
        drawn = faded * np.exp(rng.normal(0, 0.22)) * np.exp(rng.normal(0, 0.06, 3))
        colour = tuple(round(float(v), 4) for v in np.clip(drawn, 0.004, 0.82))
        if unlike is None or distance(colour, unlike) > 0.13:
            return colour
    return colour


def distance(one: Colour, other: Colour) -> float:
    """How far two linear colours are apart to the eye: the largest step of their square roots."""
    return float(np.abs(np.sqrt(one) - np.sqrt(other)).max())


def sample(rng: np.random.Generator, number: int) -> Costume:
    """Draw a person of the second cast, with everything it wears and carries."""
    person = identities.sample(rng, number)
    row = {field.name: getattr(person, field.name) for field in fields(Identity)}
    row |= _kinds(rng, person)
    return Costume(**row | _cloth(rng, row) | _extras(rng, row))


def _kinds(rng: np.random.Generator, person: Identity) -> dict:
    """Other kinds of clothes than plaza's more often: it is warm, and most carry a bag."""
    kinds = {}
    if rng.random() < 0.35:  # a warm day
        kinds |= {"outer": "none", "scarf": "none", "top": _pick(rng, tee=6, shirt=2, polo=1.5)}
        kinds["sleeve"] = float(rng.uniform(0.24, 0.5))
        if person.bottom in ("jeans", "chinos") and rng.random() < 0.4:
            kinds["bottom"] = "shorts"
            kinds["bottom_detail"] = "plain"
    elif person.outer == "jacket" and rng.random() < 0.45:
        kinds["outer"] = "open jacket"
    if person.age >= 13:
        kinds["bag"] = _pick(
            rng, none=30, backpack=27, messenger=8, shoulder=9, tote=8, handbag=7, briefcase=3,
            trolley=4,
        )  # fmt: skip
    if person.hat == "none" and rng.random() < 0.1:
        kinds["hat"] = _pick(rng, cap=6, beanie=3, bucket=2)
    return kinds


def _cloth(rng: np.random.Generator, row: dict) -> dict:
    """Colours, weaves and prints of top, jacket and trousers."""
    top = dye(rng, "top")
    outer = dye(rng, "outer", unlike=top)
    bottom = dye(rng, "shorts" if row["bottom"] == "shorts" else "bottom")
    weave = _weave(rng, row["top"])
    skirt = "skirt" in row["bottom"]
    cloth = dict(
        top_rgb=top, top_inks=_inks(rng, top), top_weave=weave,
        outer_rgb=outer, outer_inks=_inks(rng, outer),
        outer_weave=_pick(rng, plain=70, tartan=4, herringbone=7, gingham=2, camouflage=3, fading=1,
                          **{"chest block": 8, "broad stripes": 2, "side panels": 3}),
        bottom_rgb=bottom, bottom_inks=_inks(rng, bottom),
        bottom_weave=_pick(rng, plain=80 if not skirt else 45, tartan=4, herringbone=3,
                           camouflage=3, blossoms=2 + 14 * skirt, dots=6 * skirt, fading=2,
                           scattered=2 + 6 * skirt,
                           **{"upright stripes": 2, "side panels": 5 * (not skirt),
                              "broad stripes": 6 * skirt}),
        weave_scale=float(rng.uniform(0.7, 2.0)),
    )  # fmt: skip
    if skirt and rng.random() < 0.4:  # a dress
        cloth |= {f"bottom_{k}": cloth[f"top_{k}"] for k in ("rgb", "inks", "weave")}
    plain = weave in ("plain", "as named", "chest block", "fading")
    front = plain and row["top"] in ("tee", "hoodie", "sweater", "tank") and rng.random() < 0.6
    back = plain and row["top"] in ("tee", "hoodie") and rng.random() < 0.25
    small = rng.random() < 0.3
    motifs = dict.fromkeys(MOTIFS[1:], 2.0) | {"lines of text": 5, "picture": 4, "letter": 3}
    back_of_jacket = row["outer"] in ("jacket", "open jacket", "vest") and rng.random() < 0.2
    return cloth | dict(
        print_front=_pick(rng, **motifs) if front else "none",
        print_back=_pick(rng, **motifs) if back or back_of_jacket else "none",
        print_size=float(rng.uniform(0.03, 0.045) if small else rng.uniform(0.08, 0.15)),
        print_place=(0.085, 0.78) if small else (0.0, float(rng.uniform(0.55, 0.74))),
    )


def _weave(rng: np.random.Generator, top: str) -> str:
    if top == "shirt":
        return _pick(
            rng, plain=42, gingham=14, tartan=18, dots=3, blossoms=6,
            **{"upright stripes": 12, "window pane": 5},
        )  # fmt: skip
    return _pick(
        rng, plain=50, tartan=2, diamonds=2, dots=3, camouflage=2, blossoms=4, fading=2, slanting=1,
        scattered=4,
        **{"as named": 3, "broad stripes": 10, "uneven stripes": 7, "chest block": 6,
           "upright stripes": 2, "side panels": 3},
    )  # fmt: skip


def _inks(rng: np.random.Generator, ground: Colour) -> tuple[Colour, Colour]:
    first = dye(rng, "ink", unlike=ground)
    return first, dye(rng, "ink", unlike=first)


def _extras(rng: np.random.Generator, row: dict) -> dict:
    """Layers, bag, hat and shoes."""
    layered = row["outer"] == "none" and row["top"] in ("tee", "sweater", "hoodie")
    bag, hat = dye(rng, "bag"), dye(rng, "bag")
    return dict(
        sleeve_split=float(rng.uniform(0.28, 0.5)) if layered and rng.random() < 0.1 else 2.0,
        hem_band=float(rng.uniform(0.05, 0.13)) if rng.random() < 0.2 else 0.0,
        yoke=float(rng.uniform(0.55, 0.8)) if rng.random() < 0.15 else 2.0,
        opening=float(rng.uniform(0.03, 0.12)),
        loose=float(rng.choice((0.0, rng.uniform(0.004, 0.022)), p=(0.4, 0.6))),
        bag_rgb=bag, bag_ink=dye(rng, "ink", unlike=bag),
        bag_design=_pick(rng, plain=40, lid=15, pocket=18, disc=10, patterned=7,
                         **{"upright stripe": 10}),
        bag_size=float(rng.uniform(0.8, 1.35)),
        hat_rgb=hat, hat_ink=dye(rng, "ink", unlike=hat),
        shoe_rgb=dye(rng, "shoe"), sole_rgb=dye(rng, "ink") if rng.random() < 0.3 else
        (0.55, 0.55, 0.53),
    )  # fmt: skip


def _pick(rng: np.random.Generator, **weights: float) -> str:
    share = np.array(list(weights.values()), float)
    return list(weights)[int(rng.choice(len(share), p=share / share.sum()))]


# What changes between look-alikes, and the colour by which the change must show.
GARMENTS = {
    "top": ("top", "top_rgb", "top_inks", "top_weave", "print_front", "print_back", "print_size",
            "print_place", "top_pattern", "sleeve", "sleeve_split"),
    "outer": ("outer_rgb", "outer_inks", "outer_weave", "yoke"),
    "bottom": ("bottom", "bottom_rgb", "bottom_inks", "bottom_weave", "bottom_detail"),
    "bag": ("bag", "bag_rgb", "bag_ink", "bag_design", "bag_size"),
}  # fmt: skip
_BODY = [field.name for field in fields(Identity)]
_BODY = _BODY[: _BODY.index("top")]


def look_alike(model: Costume, own: Costume, rng: np.random.Generator) -> Costume:
    """`own` in the clothes of `model`, all but one garment; half of them with its body as well.

    Both must be of one gender and age group, as clothes are cut for a body.
    """
    worn = ["bottom", "top"] if model.outer == "none" else ["bottom", "outer"]
    garment = str(rng.choice([*worn, "bag"] if model.bag != "none" else worn))
    twin = rng.random() < 0.5
    keep = {"pid", "seed"} if twin else set(_BODY)
    keep |= set(GARMENTS[garment])
    changed = replace(model, **{name: getattr(own, name) for name in keep})
    if garment == "bag" and changed.bag == model.bag == "none":
        return replace(changed, hat="cap" if model.hat != "cap" else "none")
    name = f"{garment}_rgb"
    if distance(getattr(changed, name), getattr(model, name)) > 0.13:
        return changed
    return replace(changed, **{name: dye(rng, garment, unlike=getattr(model, name))})


def uniforms(costume: Costume) -> dict:
    """What the shaders of the second cast need beside `bodies` own numbers, by name."""

    def number(options: tuple[str, ...], name: str) -> int:
        return options.index(getattr(costume, name))

    colours = ("top", "outer", "bottom", "bag", "hat", "shoe", "sole")
    values = {f"{name}_colour": getattr(costume, f"{name}_rgb") for name in colours}
    if costume.hat == "hood":
        values["hat_colour"] = costume.top_rgb
    for name in ("top", "outer", "bottom"):
        first, second = getattr(costume, f"{name}_inks")
        values |= {f"{name}_ink": first, f"{name}_ink2": second}
        values[f"{name}_weave"] = number(WEAVES, f"{name}_weave")
    return values | dict(
        top_second=costume.top_inks[0], bag_ink=costume.bag_ink, hat_ink=costume.hat_ink,
        bag_design=number(BAG_DESIGNS, "bag_design"), weave_scale=costume.weave_scale,
        print_front=number(MOTIFS, "print_front"), print_back=number(MOTIFS, "print_back"),
        print_size=costume.print_size, print_place=costume.print_place,
        sleeve_split=costume.sleeve_split, hem_band=costume.hem_band, yoke=costume.yoke,
    )  # fmt: skip
