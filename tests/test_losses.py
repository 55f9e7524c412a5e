"""Losses against reference values, against another library, and at their edges."""

import pytest
import torch

from reidlib.model import losses

LABELS = torch.arange(4).repeat_interleave(3)


def sample(seed=None, dtype=torch.float64):
    if seed is None:
        i, j = torch.arange(12, dtype=dtype)[:, None], torch.arange(8, dtype=dtype)[None]
        return (torch.sin(1 + 0.7 * i + 1.3 * j) + 0.1 * ((i * j) % 3)).requires_grad_()
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(12, 8, dtype=dtype, generator=generator).requires_grad_()


@pytest.mark.parametrize(
    "loss, value",
    [
        (losses.TripletLoss(0.3, normalize=False), 1.701318818568),
        (losses.TripletLoss(0.3), 0.969879122428),
        (losses.TripletLoss(0.3, "all"), 0.575350969158),
        (losses.ContrastiveLoss(1.0), 0.105785703245),
        (losses.MarginLoss(0.2, 1.2), 0.470793445393),
    ],
)
def test_reference_values(loss, value):
    assert loss(sample(), LABELS).item() == pytest.approx(value, abs=1e-6)


def library_loss(mining, margin, x, labels):
    metric = pytest.importorskip("pytorch_metric_learning")
    from pytorch_metric_learning import losses as theirs
    from pytorch_metric_learning import miners, reducers

    assert metric
    if mining == "hard":
        loss = theirs.TripletMarginLoss(margin, reducer=reducers.MeanReducer())
        return loss(x, labels, miners.BatchHardMiner()(x, labels))
    loss = theirs.TripletMarginLoss(margin)
    chosen = miners.TripletMarginMiner(margin, "semihard")(x, labels) if mining != "all" else None
    return loss(x, labels, chosen)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mining", ["hard", "semi-hard", "all"])
def test_triplet_agrees_with_the_library_forward_and_backward(mining, seed):
    ours, theirs = sample(seed), sample(seed)
    a = losses.TripletLoss(0.3, mining)(ours, LABELS)
    b = library_loss(mining, 0.3, theirs, LABELS)
    a.backward()
    b.backward()
    assert a.item() == pytest.approx(b.item(), abs=1e-6)
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)


@pytest.mark.parametrize(
    "loss, pair",
    [
        (
            losses.ContrastiveLoss(0.9),
            lambda d, same: (d**2 / 2 if same else max(0.0, 0.9 - d) ** 2 / 2, True),
        ),
        (
            losses.MarginLoss(0.2, 1.1),
            lambda d, same: (v := max(0.0, 0.2 + (d - 1.1) * (1 if same else -1)), v > 0),
        ),
    ],
    ids=["contrastive", "margin"],
)
def test_pair_losses_agree_with_their_formula_worked_pair_by_pair(loss, pair):
    x = sample(5)
    unit = x / x.norm(dim=1, keepdim=True)
    terms = []
    for i in range(12):
        for j in range(12):
            if i != j:
                d = (unit[i] - unit[j]).norm()
                value, counts = pair(d, LABELS[i] == LABELS[j])
                terms += [value] if counts else []
    expected = sum(terms) / len(terms)
    (gradient,) = torch.autograd.grad(expected, x)
    ours = loss(x, LABELS)
    assert ours.item() == pytest.approx(expected.item(), abs=1e-6)
    assert torch.allclose(torch.autograd.grad(ours, x)[0], gradient, atol=1e-6)


EVERY = [
    losses.ContrastiveLoss(),
    losses.MarginLoss(),
    *(losses.TripletLoss(0.3, mining) for mining in ("hard", "semi-hard", "all")),
]


@pytest.mark.parametrize("loss", EVERY, ids=lambda loss: getattr(loss, "mining", "pairs"))
@pytest.mark.parametrize(
    "rows, labels",
    [(1, [3]), (4, [1, 1, 1, 1]), (4, [1, 2, 3, 4]), (4, [1, 1, 2, 2])],
    ids=["one row", "one person", "nobody twice", "identical rows"],
)
def test_loss_and_gradient_stay_finite(loss, rows, labels):
    x = torch.ones(rows, 5, requires_grad=True)
    value = loss(x, torch.tensor(labels))
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(x.grad).all()


@pytest.mark.parametrize("mining", ["hard", "semi-hard", "all"])
@pytest.mark.parametrize("labels", [[1, 1, 1], [1, 2, 3]])
def test_a_batch_without_triplets_is_zero_with_a_gradient(mining, labels):
    x = torch.randn(3, 4, requires_grad=True)
    value = losses.TripletLoss(0.3, mining)(x, torch.tensor(labels))
    value.backward()
    assert value.item() == 0 and torch.equal(x.grad, torch.zeros_like(x))


def test_hard_mining_averages_over_anchors_that_have_a_triplet():
    """Somebody alone in the batch is a negative of others, but the anchor of no triplet."""
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    loss = losses.TripletLoss(1.5, normalize=False)
    violations = [1 - 2 + 1.5, 1 - 5**0.5 + 1.5]
    assert loss(x, torch.tensor([1, 1, 2])).item() == pytest.approx(sum(violations) / 2, abs=1e-9)


def test_semi_hard_triplets_are_in_order_but_within_the_margin():
    """Of an anchor's negatives one is nearer than its partner, one just farther, one far away."""
    x = torch.tensor([[0.0], [1.0], [0.9], [1.2], [5.0]], dtype=torch.float64)
    loss = losses.TripletLoss(0.3, "semi-hard", normalize=False)
    # From 0 only 1.2 counts; from 1 (with 0 at distance 1) no negative is farther by less than 0.3.
    assert loss(x, torch.tensor([1, 1, 2, 3, 4])).item() == pytest.approx(0.3 - 0.2, abs=1e-9)


@pytest.mark.parametrize("build", [losses.ContrastiveLoss, losses.TripletLoss, losses.MarginLoss])
@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_margins_below_zero_are_refused(build, margin):
    with pytest.raises(ValueError, match="margin is .*at least 0"):
        build(margin)


def test_a_margin_of_zero_is_a_margin_and_the_repr_names_it():
    """A checkpoint tells losses of one's own apart by their repr."""
    assert repr(losses.TripletLoss(0)) == "TripletLoss(margin=0, normalize=True, mining=hard)"


@pytest.mark.parametrize("loss", EVERY, ids=lambda loss: getattr(loss, "mining", "pairs"))
def test_embeddings_that_add_up_to_zero_are_embeddings_like_others(loss):
    x = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], requires_grad=True)
    value = loss(x, torch.tensor([1, 1]))
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(x.grad).all()


def test_names_and_shapes_are_checked():
    with pytest.raises(ValueError, match="unknown mining 'harder'"):
        losses.TripletLoss(0.3, "harder")
    with pytest.raises(ValueError, match="unknown loss 'triple'.*triplet"):
        losses.make("triple")
    with pytest.raises(ValueError, match=r"\(3, 4\).*expected \(N, D\) and \(N,\)"):
        losses.TripletLoss()(torch.zeros(3, 4), torch.zeros(2))
    assert isinstance(losses.make("margin", 0.4), losses.MarginLoss)
    margins = [losses.make(name).margin for name in ("contrastive", "triplet", "margin")]
    assert margins == [1.0, 0.3, 0.2] and losses.make("triplet", 0.5, "all").mining == "all"


def test_only_anchors_with_a_partner_and_a_stranger_are_averaged():
    """Row 2 has no partner: batch-hard mining averages over the two rows that have one."""
    x = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    labels = torch.tensor([1, 1, 2])
    loss = losses.TripletLoss(2.5, normalize=False)(x, labels)
    assert loss.item() == pytest.approx(((3 - 4 + 2.5) + (3 - 5 + 2.5)) / 2)


@pytest.mark.parametrize("build", [losses.ContrastiveLoss, losses.TripletLoss, losses.MarginLoss])
def test_a_margin_of_zero_is_one_too(build):
    assert build(0).margin == 0
    with pytest.raises(ValueError, match="margin is inf"):
        build(float("inf"))


def test_a_loss_says_how_it_was_made():
    assert repr(losses.TripletLoss(0.5, "all")) == (
        "TripletLoss(margin=0.5, normalize=True, mining=all)"
    )
    made = losses.make("margin", beta=0.9)
    assert (made.margin, made.beta, made.normalize) == (0.2, 0.9, True)
    assert losses.make(made, 0.7) is made
