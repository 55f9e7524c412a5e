"""Who walks across the plaza: a record of plain attributes for each person, drawn by seed.

Wardrobes are muted and narrow on purpose. Real crowds wear black, navy, grey and denim, so two
strangers often share a palette and differ in cut, print, bag, hair or build; a colour histogram
then fails where a look at the structure still succeeds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import ClassVar

import numpy as np

# Six groups after Fitzpatrick (1988), light to dark; linear-light albedo of the cheek.
SKIN = {
    "I": (0.72, 0.49, 0.39),
    "II": (0.62, 0.40, 0.29),
    "III": (0.48, 0.29, 0.19),
    "IV": (0.33, 0.19, 0.115),
    "V": (0.18, 0.10, 0.06),
    "VI": (0.085, 0.048, 0.032),
}
HAIR = {
    "black": (0.012, 0.010, 0.009),
    "dark brown": (0.035, 0.020, 0.012),
    "brown": (0.085, 0.045, 0.022),
    "blond": (0.36, 0.24, 0.11),
    "red": (0.20, 0.062, 0.022),
    "grey": (0.27, 0.27, 0.27),
    "white": (0.60, 0.59, 0.56),
}
# Cloth albedo in linear light. Pairs such as black/charcoal and beige/khaki are close on purpose.
CLOTH = {
    "black": (0.014, 0.014, 0.015),
    "charcoal": (0.045, 0.046, 0.050),
    "grey": (0.17, 0.17, 0.175),
    "light grey": (0.40, 0.40, 0.40),
    "white": (0.70, 0.70, 0.68),
    "navy": (0.018, 0.023, 0.045),
    "denim": (0.062, 0.086, 0.135),
    "light denim": (0.23, 0.28, 0.34),
    "beige": (0.46, 0.38, 0.27),
    "khaki": (0.25, 0.21, 0.13),
    "brown": (0.105, 0.058, 0.032),
    "olive": (0.072, 0.070, 0.040),
    "dark green": (0.022, 0.045, 0.032),
    "burgundy": (0.11, 0.018, 0.026),
    "dusty pink": (0.42, 0.26, 0.25),
    "light blue": (0.30, 0.42, 0.55),
    "blue": (0.045, 0.10, 0.26),
    "teal": (0.025, 0.14, 0.15),
    "mustard": (0.40, 0.25, 0.060),
    "red": (0.42, 0.030, 0.030),
    "orange": (0.55, 0.17, 0.035),
    "lilac": (0.30, 0.22, 0.40),
}
PATTERNS = ("plain", "stripes", "pinstripes", "block", "print", "check", "raglan", "band", "dots",
            "melange", "floral")
TOPS = ("tank", "tee", "polo", "shirt", "sweater", "hoodie", "turtleneck")
OUTERS = ("none", "jacket", "open jacket", "puffer", "vest", "coat", "open coat", "cardigan")
BOTTOMS = ("jeans", "chinos", "leggings", "joggers", "wide trousers", "shorts", "short skirt",
           "midi skirt", "long skirt")
TROUSER_DETAILS = ("plain", "faded", "side stripe", "ripped", "cuffed")
SKIRT_DETAILS = ("plain", "print", "tights", "sheer tights", "pleated")
SHOES = ("sneakers", "runners", "leather", "boots", "flats", "sandals")
BAGS = ("none", "backpack", "small backpack", "messenger", "shoulder", "tote", "handbag",
        "briefcase", "trolley")
HATS = ("none", "cap", "beanie", "bucket", "headscarf", "hood")
HAIRSTYLES = ("bald", "buzz", "short", "parted", "curly", "afro", "receding", "bob", "long",
              "ponytail", "bun")

_OUTERWEAR = ("black", "charcoal", "navy", "grey", "olive", "beige", "khaki", "brown", "burgundy",
              "dark green", "denim", "light grey", "mustard", "red", "blue")
_OUTERWEAR_P = (.21, .13, .15, .10, .09, .08, .05, .05, .035, .03, .03, .015, .01, .01, .01)
_TOPWEAR = ("black", "white", "grey", "navy", "charcoal", "light grey", "beige", "burgundy",
            "olive", "light blue", "dusty pink", "dark green", "teal", "blue", "mustard", "red",
            "orange", "lilac")
_TOPWEAR_P = (.17, .15, .12, .13, .07, .07, .055, .04, .035, .035, .03, .02, .02, .015, .012,
              .012, .006, .01)
_SKIRTWEAR = ("black", "navy", "grey", "denim", "beige", "olive", "burgundy", "dusty pink",
              "charcoal", "white", "teal", "mustard")
_SKIRTWEAR_P = (.26, .16, .10, .10, .09, .07, .07, .05, .04, .03, .02, .01)


@dataclass(frozen=True)
class Identity:
    """A person: the body stays, everything from `top` on can be changed by `reclothe`."""

    pid: int
    seed: int  # drives folds, asymmetries and every other small, unnamed variation
    gender: str
    age: int  # years
    height: float  # metres, barefoot
    build: float  # 0 thin .. 1 heavy
    muscle: float
    proportions: float
    skin_group: str
    ancestry: tuple[float, float, float]  # weights of the body model's three face shapes
    hair: str
    hair_colour: str
    beard: str
    glasses: str
    top: str
    top_colour: str
    top_second: str
    top_pattern: str
    pattern_scale: float
    sleeve: float  # 0 shoulder .. 1 wrist, a little more reaches the hand
    tucked: bool
    outer: str
    outer_colour: str
    bottom: str
    bottom_colour: str
    bottom_detail: str
    shoes: str
    shoe_colour: str
    bag: str
    bag_colour: str
    bag_side: str
    hat: str
    hat_colour: str
    scarf: str

    # What only a Costume varies.
    loose: ClassVar[float] = 0.0  # metres between body and top beyond the usual
    bag_size: ClassVar[float] = 1.0


_CLOTHES = [f.name for f in fields(Identity)]
_CLOTHES = _CLOTHES[_CLOTHES.index("top"):]


def _choose(rng: np.random.Generator, options, weights=None):
    weights = None if weights is None else np.asarray(weights, float) / np.sum(weights)
    return options[int(rng.choice(len(options), p=weights))]


def sample(rng: np.random.Generator, pid: int) -> Identity:
    """Draw a person; skin groups take turns by `pid`, so every set of six is even."""
    gender = _choose(rng, ("female", "male"))
    band = _choose(rng, ("child", "teen", "adult", "old"), (.06, .09, .67, .18))
    low, high = {"child": (6, 12), "teen": (13, 18), "adult": (19, 59), "old": (60, 85)}[band]
    age = int(rng.integers(low, high + 1))
    group = list(SKIN)[pid % len(SKIN)]
    body = dict(
        pid=pid, seed=int(rng.integers(1, 2**31)), gender=gender, age=age,
        height=_height(rng, gender, age), build=float(np.clip(rng.normal(.5, .2), .08, .97)),
        muscle=float(rng.uniform(.2, .5) if gender == "female" else rng.uniform(.35, .75)),
        proportions=float(rng.uniform(.3, .9)),
        skin_group=group, ancestry=_ancestry(rng, group),
        **_head(rng, gender, age, group))
    return Identity(**body, **_wardrobe(rng, gender, age, body["hair"]))


def reclothe(identity: Identity, rng: np.random.Generator) -> Identity:
    """The same person in other clothes, with another bag."""
    clothes = _wardrobe(rng, identity.gender, identity.age, identity.hair)
    while clothes["top_colour"] == identity.top_colour or clothes["bottom"] == identity.bottom:
        clothes = _wardrobe(rng, identity.gender, identity.age, identity.hair)
    return replace(identity, **clothes)


def to_row(identity: Identity) -> dict:
    """The attributes as one flat row of identities.csv."""
    row = asdict(identity)
    african, asian, caucasian = row.pop("ancestry")
    row |= {"african": african, "asian": asian, "caucasian": caucasian}
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}


def _height(rng: np.random.Generator, gender: str, age: int) -> float:
    adult = rng.normal(1.775, .068) if gender == "male" else rng.normal(1.645, .062)
    grown = np.interp(age, (6, 9, 12, 14, 16, 18), (.69, .79, .88, .945, .985, 1.))
    return float(np.clip(adult, 1.5, 1.98) * grown - .03 * max(0, age - 60) / 25)


def _ancestry(rng: np.random.Generator, group: str) -> tuple[float, float, float]:
    # Face shape is only loosely tied to skin tone: every group mixes all three.
    lean = {"I": (.3, .8, 4.), "II": (.4, 2., 3.), "III": (1., 2., 2.), "IV": (1.5, 2., 1.5),
            "V": (3., .8, .8), "VI": (4., .5, .4)}[group]
    return tuple(round(float(v), 3) for v in rng.dirichlet(lean))


def _head(rng: np.random.Generator, gender: str, age: int, group: str) -> dict:
    if age >= 60:
        colour = _choose(rng, ("grey", "white", "dark brown", "black"), (.45, .35, .1, .1))
    elif group in ("I", "II"):
        colour = _choose(rng, ("black", "dark brown", "brown", "blond", "red", "grey"),
                         (.15, .28, .27, .19, .05, .06 if age > 40 else 0.))
    else:
        colour = _choose(rng, ("black", "dark brown", "brown", "grey"),
                         (.6, .3, .06, .04 if age > 40 else 0.))
    if gender == "female":
        style = _choose(rng, ("long", "bob", "ponytail", "bun", "short", "curly", "afro"),
                        (.30, .18, .18, .12, .08, .10, .04 + .08 * (group in ("V", "VI"))))
    else:
        old = age >= 45
        style = _choose(rng, ("short", "parted", "buzz", "curly", "receding", "bald", "long",
                              "afro", "bun"),
                        (.30, .22, .16, .10, .20 if old else .03, .14 if old else .05, .04,
                         .03 + .06 * (group in ("V", "VI")), .02))
    bearded = gender == "male" and age >= 20
    beard = _choose(rng, ("none", "stubble", "moustache", "full"), (.55, .18, .06, .21)) \
        if bearded else "none"
    glasses = _choose(rng, ("none", "clear", "dark"),
                      (.72, .21, .07) if age < 60 else (.5, .45, .05))
    return dict(hair=style, hair_colour=colour, beard=beard, glasses=glasses)


def _wardrobe(rng: np.random.Generator, gender: str, age: int, hair: str) -> dict:
    female, child = gender == "female", age < 13
    outer = _choose(rng, OUTERS, (.50, .13, .09, .06, .03, .055, .055, .08 if female else .02))
    if child and outer in ("coat", "open coat"):
        outer = "jacket"
    top = _choose(rng, TOPS, (.05 if female and outer == "none" else .01, .31, .08, .17, .17,
                              .18 if age < 50 else .06, .05))
    sleeve = {"tank": .02, "tee": rng.uniform(.24, .42), "polo": rng.uniform(.3, .4),
              "shirt": 1.05 if rng.random() < .75 else .58}.get(top, 1.05)
    pattern = _choose(rng, PATTERNS,
                      (.50, .08, .03, .04, .13, .05, .03, .04, .02, .06, .05 * female))
    if top == "shirt":
        pattern = _choose(rng, ("plain", "check", "pinstripes", "dots", "floral"),
                          (.45, .3, .17, .03, .05))
    bottom = _choose(rng, BOTTOMS,
                     (.33, .10, .13, .05, .08, .07, .09, .10, .05) if female else
                     (.42, .23, .0, .13, .07, .15, 0, 0, 0))
    top_colour = _choose(rng, _TOPWEAR, _TOPWEAR_P)
    second = _choose(rng, [c for c in _TOPWEAR if c != top_colour])
    if pattern in ("stripes", "pinstripes", "check") and rng.random() < .6:
        second = "white" if top_colour != "white" else _choose(rng, ("navy", "black", "grey"))
    warm = outer not in ("none", "cardigan")
    if bottom == "shorts" and warm:
        bottom = _choose(rng, ("jeans", "chinos"))
    if warm and sleeve < .5 and rng.random() < .6:
        top, sleeve = "sweater", 1.05
    hat = _choose(rng, HATS, (.74, .10, .07, .02, .07 if female and not child else 0.,
                              .03 if top == "hoodie" else 0.))
    if hat == "headscarf":
        sleeve = 1.05
        top = "tee" if top == "tank" else top
    bag = _choose(rng, BAGS, (.34, .20, .05, .09, .08, .06, .06 if female else .01,
                              .0 if female else .03, .05))
    if child:
        bag = _choose(rng, ("none", "small backpack"), (.6, .4))
    return dict(
        top=top, top_colour=top_colour, top_second=second, top_pattern=pattern,
        pattern_scale=float(rng.uniform(.65, 1.6)), sleeve=float(sleeve),
        tucked=bool(rng.random() < (.3 if top in ("shirt", "polo") else .1)),
        outer=outer, outer_colour=_choose(rng, _OUTERWEAR, _OUTERWEAR_P),
        bottom=bottom, bottom_colour=_bottom_colour(rng, bottom),
        bottom_detail=_detail(rng, bottom),
        **_accessories(rng, gender, bottom, age), bag=bag,
        bag_colour=_choose(rng, ("black", "charcoal", "navy", "brown", "grey", "olive", "beige",
                                 "burgundy", "red", "teal", "mustard"),
                           (.33, .12, .13, .13, .09, .05, .05, .04, .03, .02, .01)),
        bag_side=_choose(rng, ("L", "R")), hat=hat,
        hat_colour=_choose(rng, ("black", "navy", "grey", "beige", "white", "burgundy", "olive",
                                 "red", "dusty pink", "teal"),
                           (.3, .17, .12, .11, .08, .06, .06, .04, .03, .03)),
        scarf=_choose(rng, ("none", "grey", "beige", "burgundy", "navy"),
                      (.78 if warm else .97, .05, .04, .03, .04)))


def _bottom_colour(rng: np.random.Generator, bottom: str) -> str:
    if bottom == "jeans":
        return _choose(rng, ("denim", "navy", "black", "light denim", "grey", "white"),
                       (.40, .2, .2, .12, .05, .03))
    if bottom in ("leggings", "joggers"):
        return _choose(rng, ("black", "charcoal", "navy", "grey", "burgundy", "olive"),
                       (.55, .15, .12, .1, .03, .05))
    if "skirt" in bottom:
        return _choose(rng, _SKIRTWEAR, _SKIRTWEAR_P)
    return _choose(rng, ("black", "navy", "beige", "grey", "khaki", "charcoal", "olive", "brown",
                         "light grey", "white", "burgundy"),
                   (.22, .16, .14, .10, .12, .08, .07, .04, .03, .02, .02))


def _detail(rng: np.random.Generator, bottom: str) -> str:
    if "skirt" in bottom:
        return _choose(rng, SKIRT_DETAILS, (.40, .16, .20, .10, .14))
    weights = {"jeans": (.52, .28, 0, .08, .12), "joggers": (.6, 0, .4, 0, 0),
               "leggings": (.8, 0, .2, 0, 0), "shorts": (.7, 0, .15, 0, .15),
               "chinos": (.85, 0, 0, 0, .15)}.get(bottom, (1., 0, 0, 0, 0))
    return _choose(rng, TROUSER_DETAILS, weights)


def _accessories(rng: np.random.Generator, gender: str, bottom: str, age: int) -> dict:
    female = gender == "female"
    shoes = _choose(rng, SHOES, (.42, .2, .05, .13, .15, .05) if female else
                    (.42, .2, .2, .15, .0, .03))
    if bottom in ("joggers", "shorts") or age < 13:
        shoes = _choose(rng, ("sneakers", "runners"))
    if shoes in ("leather", "boots"):
        colour = _choose(rng, ("black", "brown", "beige"), (.6, .32, .08))
    elif shoes == "sandals":
        colour = _choose(rng, ("black", "brown", "beige"))
    else:
        colour = _choose(rng, ("white", "black", "grey", "navy", "beige", "red", "blue", "brown"),
                         (.36, .26, .12, .08, .07, .04, .04, .03))
    return dict(shoes=shoes, shoe_colour=colour)
