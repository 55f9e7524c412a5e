"""Train the bundled network a little further on people of one's own, for the template notebook."""

from pathlib import Path


def further(dataset, target: Path, epochs: int = 2, lr: float = 1e-4):
    """Write the network, trained further on a data set, to `target`; return its scores.

    They are those before and those after, as from `ranking.score`.
    """
    # torch takes half a gigabyte, which a notebook that tunes nothing does without.
    from reidlib import assets
    from reidlib.model import embedding, networks, training

    network = networks.load(assets.data("weights", "plaza_embedding.pt"))
    before = embedding.evaluate(network, dataset)
    training.fit(network, dataset, epochs=epochs, lr=lr, identities=8, device="cpu")
    networks.save(network, target, trained_on="own footage")
    return before, embedding.evaluate(network, dataset)
