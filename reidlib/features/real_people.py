"""Networks that have seen thousands of real people, by name, from Roboflow's package `reid`.

The package is an extra, ``pip install -e ".[real]"``; each network is downloaded when it is first
asked for. Its code is Apache 2.0, OSNet's own (Zhou et al., 2019) MIT. What a network may be used
for also follows from the pictures it learnt from: MSMT17 is given out for research alone, MOT17,
SportsMOT, DanceTrack and SoccerNet for non-commercial use. Read their terms first.
"""

import warnings
from collections.abc import Iterable
from pathlib import Path

from reidlib import assets

BEST = "osnet_x1_0_msmt17_combineall"
NAMES = (
    BEST,
    "fastreid_mot17_sbs50",
    "osnet_x1_0_mot17",
    "osnet_x1_0_sportsmot",
    "osnet_x1_0_dancetrack",
    "osnet_x1_0_soccernet",
)
ADVICE = (
    "the bundled features learnt from rendered people; a network that has seen real ones tells "
    f'them apart better: pip install -e ".[real]", then --features {BEST}'
)


def load(name: str):
    """Return the network called `name`, from (N, 3, H, W) images to (N, .dim), and its (H, W).

    Images are normalised by ImageNet's statistics. Nothing in the weights' file is ever run: one
    that needs it is refused. Raises assets.Unavailable when the package is not installed, the
    network cannot be downloaded, or its file is damaged or not safe.
    """
    if not assets.has("reid"):
        raise assets.Unavailable(
            f'{name} comes with the package reid: pip install -e ".[real]"; or take "plaza", '
            "which is here"
        )
    import torch
    from reid import architectures, catalog, loaders
    from reid.architectures import registry

    card = catalog.ALIASES[name]
    try:
        path = loaders.resolve_weights(card.weights)
    except Exception as error:  # a hub, a drive and a plain server fail in their own ways
        raise assets.Unavailable(
            f"{name} has to be downloaded, but that failed ({assets.reason(error)}); connect to "
            "the internet, or give the path of an .onnx file"
        ) from error
    network = architectures.build_architecture(card.architecture)
    try:
        with warnings.catch_warnings(action="ignore"):  # of the classifier, which nobody needs
            loaders.load_state_dict(
                network, path, torch.device("cpu"), architecture=card.architecture,
                required_match_fraction=1.0, allow_pickle=False,
            )  # fmt: skip
    except Exception as error:  # torch raises at least eight kinds, depending on the damage
        raise assets.Unavailable(
            f"the weights of {name} are damaged, or cannot be read without running code from "
            f"them, and nothing in them was run; delete {path} and try again"
        ) from error
    size = registry.default_preprocessing_for_architecture(card.architecture).input_size
    with torch.inference_mode():
        network.dim = network.eval()(torch.zeros(1, 3, *size)).shape[1]
    return network, size


def advise(features: str, paths: Iterable[str | Path]) -> None:
    """Warn that a better network exists when the bundled one meets footage that is not plaza's."""
    home = assets.data("plaza").resolve()
    if features in ("plaza", "plaza+flip") and any(
        home not in Path(path).resolve().parents for path in paths
    ):
        warnings.warn(ADVICE, stacklevel=2)
