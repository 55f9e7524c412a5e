"""Metric losses: each pulls embeddings of one person together and pushes different people apart.

All take (N, D) embeddings and (N,) integer labels, compare every pair of rows, return a scalar.
Rows are scaled to unit length first, so that a margin means the same whatever the network;
distances are Euclidean, 0 to 2 then. A batch without any pair or triplet gives a zero loss.
"""

import torch
import torch.nn.functional as F
from torch import nn


class PairwiseLoss(nn.Module):
    """What the losses share: unit rows, their distances, and which pairs are the same person."""

    def __init__(self, margin: float, normalize: bool = True):
        super().__init__()
        if not 0 <= margin < float("inf"):
            raise ValueError(f"margin is {margin}; expected a number of at least 0, such as 0.3")
        self.margin, self.normalize = margin, normalize

    def extra_repr(self) -> str:
        """Name the settings in the loss's repr; what torch adds to a module is not among them."""
        given = {k: v for k, v in vars(self).items() if k[0] != "_" and k != "training"}
        return ", ".join(f"{name}={value}" for name, value in given.items())

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if embeddings.ndim != 2 or len(embeddings) != len(labels):
            raise ValueError(
                f"embeddings have shape {tuple(embeddings.shape)} and labels "
                f"{tuple(labels.shape)}; expected (N, D) and (N,)"
            )
        x = F.normalize(embeddings) if self.normalize else embeddings
        same = labels[:, None] == labels[None, :]
        positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        # Adding zero times the embeddings keeps the gradient defined when nothing was compared.
        return self.compare(distances(x), positive, ~same) + 0 * embeddings.sum()


class ContrastiveLoss(PairwiseLoss):
    """Half the squared distance of positive pairs, half the squared shortfall of negative ones.

    The mean of d²/2 and max(0, margin - d)²/2 over all pairs (Hadsell, Chopra, LeCun, 2006).
    """

    def __init__(self, margin: float = 1.0, normalize: bool = True):
        super().__init__(margin, normalize)

    def compare(self, d, positive, negative):
        pull = d[positive].square() / 2
        push = F.relu(self.margin - d[negative]).square() / 2
        return mean(torch.cat([pull, push]))


class TripletLoss(PairwiseLoss):
    """An anchor's positive must be nearer than its negative by a margin: max(0, d_ap - d_an + m).

    `mining` chooses the triplets. "hard": for every anchor its farthest positive and nearest
    negative, averaged over anchors; "all": every triplet, averaged over those that violate the
    margin (both Hermans, Beyer, Leibe, 2017). "semi-hard": triplets whose negative is farther than
    the positive, yet within the margin (Schroff et al., 2015).
    """

    def __init__(self, margin: float = 0.3, mining: str = "hard", normalize: bool = True):
        super().__init__(margin, normalize)
        if mining not in ("hard", "semi-hard", "all"):
            raise ValueError(f"unknown mining {mining!r}; choose from hard, semi-hard, all")
        self.mining = mining

    def compare(self, d, positive, negative):
        if self.mining == "hard":
            # Most triplets of a batch are easy, and an average over all of them would hardly move;
            # the hardest of each anchor moves as long as anything is in the wrong order. An anchor
            # without a partner, or without a stranger, has no triplet and does not count.
            d_ap = d.masked_fill(~positive, -torch.inf).amax(dim=1)
            d_an = d.masked_fill(~negative, torch.inf).amin(dim=1)
            anchors = positive.any(dim=1) & negative.any(dim=1)
            return mean(F.relu(d_ap - d_an + self.margin)[anchors])
        anchor, partner = positive.nonzero(as_tuple=True)
        gap = d[anchor, partner][:, None] - d[anchor]  # d_ap - d_an: a row a pair, a column a third
        triplets = negative[anchor]
        if self.mining == "semi-hard":
            # From a cold start the hardest triplets can pull everybody onto one point: these are
            # in the right order already, only not by enough.
            triplets = triplets & (gap < 0) & (gap > -self.margin)
        violation = F.relu(gap + self.margin).masked_fill(~triplets, 0)
        return violation.sum() / violation.count_nonzero().clamp(min=1)


class MarginLoss(PairwiseLoss):
    """Positive pairs must be nearer than beta - margin, negative ones farther than beta + margin.

    The mean of max(0, margin + y (d - beta)), y = 1 for positive and -1 for negative pairs, over
    the pairs that violate it (Wu et al., 2017, with a fixed beta and all pairs).
    """

    def __init__(self, margin: float = 0.2, beta: float = 1.2, normalize: bool = True):
        super().__init__(margin, normalize)
        self.beta = beta

    def compare(self, d, positive, negative):
        pull = F.relu(self.margin + d[positive] - self.beta)
        push = F.relu(self.margin - d[negative] + self.beta)
        violation = torch.cat([pull, push])
        # Strangers that are far apart already are most of the pairs, and say nothing any more.
        return mean(violation[violation > 0])


def make(
    name: str | nn.Module, margin: float | None = None, mining: str = "hard", beta: float = 1.2
) -> nn.Module:
    """Return the loss called "contrastive", "triplet" or "margin"; a module as it is."""
    if callable(name):
        return name
    options = {} if margin is None else {"margin": margin}
    if name == "contrastive":
        return ContrastiveLoss(**options)
    if name == "triplet":
        return TripletLoss(**options, mining=mining)
    if name == "margin":
        return MarginLoss(**options, beta=beta)
    raise ValueError(
        f"unknown loss {name!r}; choose from contrastive, triplet, margin, or give a module"
    )


def distances(x: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean distances between all rows, (N, N), with a finite gradient at zero."""
    squared = x.square().sum(dim=1)
    d2 = squared[:, None] + squared[None, :] - 2 * x @ x.T
    # The slope of a square root is infinite at zero, where one image is drawn twice.
    return d2.clamp(min=torch.finfo(x.dtype).eps).sqrt()


def mean(values: torch.Tensor) -> torch.Tensor:
    """Return the mean, and 0 where there is nothing to average."""
    return values.sum() / max(1, values.numel())
