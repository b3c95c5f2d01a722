"""Few seeds made to count: variances squeezed towards each other, and the contrasts that rest on them.

Three or five seeds estimate a group's scatter badly. That of twenty groups together is known well, and how
much the groups' scatters differ among themselves says how far each may be drawn towards it: the empirical
Bayes of limma (Smyth 2004 [M]). With s^2 of d degrees of freedom and a prior of variance s0^2 worth d0,

    s~^2 = (d0 s0^2 + d s^2) / (d0 + d),    degrees of freedom d0 + d.

d0 follows from the variance of log s^2 over the groups: trigamma(d/2) is what chance alone gives, the excess
is trigamma(d0/2). Departures from limma, all towards caution [T: docs/statistics.md]: the excess is taken at
the upper end of a one-sided interval and not at its estimate; degrees of freedom are never more than equal
scatter of the two groups would give; and where d0 is small, that is where scatters differ, they fall towards
those of the side that has fewer.

Every function works on the last axis and takes any number of leading ones, so that a simulation calls just
what a comparison calls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

CONFIDENCE = 0.75
"""Of the one-sided interval whose upper end is taken for the spread of the groups' log variances."""
HEDGE = 2.0
"""Prior degrees of freedom at which the contrast's own stand half way between the cautious and the usual."""
MOST_FREEDOM = 1e4
_TINY = 1e-18

Groups = Float[np.ndarray, "*batch groups"]
Contrasts = Float[np.ndarray, "*batch contrasts"]


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What the groups together say about a group's variance.

    Attributes:
        variance: s0^2 [batch].
        freedom: d0 [batch]: how many degrees of freedom it is worth; 0 for a single group.
    """

    variance: Float[np.ndarray, "*batch"]
    freedom: Float[np.ndarray, "*batch"]


@dataclass(frozen=True, kw_only=True)
class Tested:
    """Differences with their standard errors and degrees of freedom, one per contrast."""

    difference: Contrasts
    standard_error: Contrasts
    freedom: Contrasts


def estimate_prior(variances: Groups, freedom: Float[np.ndarray, " groups"]) -> Prior:
    """The prior of the groups' variances, by the moments of their logs, cautiously.

    Args:
        variances: Sample variances, positive.
        freedom: Their degrees of freedom, positive.
    """
    from scipy.special import chdtri, digamma, polygamma

    groups = variances.shape[-1]
    if groups < 2:
        return Prior(variance=variances[..., 0], freedom=np.zeros(variances.shape[:-1]))
    chance = polygamma(1, freedom / 2)
    logs = np.log(variances) - digamma(freedom / 2) + np.log(freedom / 2)
    share = (1 / chance) / (1 / chance).sum()
    centre = (share * logs).sum(axis=-1)
    spread = (share * (logs - centre[..., None]) ** 2).sum(axis=-1) / (share * (1 - share)).sum()
    # The upper end of the spread's interval: chdtri(k, p) leaves p of the chi-square above it.
    upper = spread * (groups - 1) / float(chdtri(groups - 1, CONFIDENCE))
    excess = upper - (share * (1 - share) * chance).sum() / (share * (1 - share)).sum()
    worth = np.where(excess > 0, 2 * _inverse_trigamma(np.maximum(excess, _TINY)), MOST_FREEDOM)
    worth = np.minimum(worth, MOST_FREEDOM)
    return Prior(variance=np.exp(centre + digamma(worth / 2) - np.log(worth / 2)), freedom=worth)


def _inverse_trigamma(values: np.ndarray) -> np.ndarray:
    """Solve trigamma(x) = values by Newton's method on 1/trigamma, which is nearly straight (Smyth 2004)."""
    from scipy.special import polygamma

    x = 0.5 + 1 / values
    for _ in range(30):
        trigamma = polygamma(1, x)
        x = np.maximum(x + trigamma * (1 - trigamma / values) / polygamma(2, x), _TINY)
    return x


def squeezed(variances: Groups, freedom: Float[np.ndarray, " groups"], prior: Prior) -> tuple[Groups, Groups]:
    """Every group's variance drawn towards the prior, and its degrees of freedom; at most those of all."""
    worth = prior.freedom[..., None]
    drawn = (worth * prior.variance[..., None] + freedom * variances) / (worth + freedom)
    return drawn, np.minimum(worth + freedom, freedom.sum())


def unpaired(
    means: Groups, variances: Groups, sizes: Float[np.ndarray, " groups"], *, floor: float = 0.0
) -> Tested:
    """Every group against the first, which is the baseline: Welch's test with squeezed variances.

    Args:
        means: Of every group.
        variances: Sample variances of every group.
        sizes: Seeds of every group, at least 2.
        floor: The least variance that a value can have, for example that of rounding.
    """
    freedom = sizes - 1
    raised = np.maximum(variances, max(floor, _TINY * float(np.max(variances, initial=0.0))) or _TINY)
    prior = estimate_prior(raised, freedom)
    drawn, own = squeezed(raised, freedom, prior)
    shares = _rounded_alike(drawn / sizes, variances, floor)
    usual = np.minimum(_welch(shares, own), _welch(np.broadcast_to(1 / sizes, shares.shape), own))
    usual = np.minimum(usual, freedom.sum())
    least = np.minimum(usual, np.minimum(own[..., 1:], own[..., :1]))
    trust = (prior.freedom / (prior.freedom + HEDGE))[..., None]
    return Tested(
        difference=means[..., 1:] - means[..., :1],
        standard_error=np.sqrt(shares[..., 1:] + shares[..., :1]),
        freedom=least + trust * (usual - least),
    )


def paired(
    differences: Contrasts,
    variances: Contrasts,
    sizes: Float[np.ndarray, " contrasts"],
    *,
    floor: float = 0.0,
) -> Tested:
    """Student's test of differences at equal seeds, their variances squeezed.

    Args:
        differences: Their means.
        variances: Their sample variances.
        sizes: The number of pairs, at least 2.
        floor: The least variance that a value can have; a difference has twice that.
    """
    freedom = sizes - 1
    raised = np.maximum(variances, 2 * floor or _TINY)
    prior = estimate_prior(raised, freedom)
    drawn, own = squeezed(raised, freedom, prior)
    trust = (prior.freedom / (prior.freedom + HEDGE))[..., None]
    # The groups share the baseline's scatter, of which there are no more degrees of freedom than its seeds.
    usual = np.minimum(own, 4 * freedom)
    return Tested(
        difference=differences,
        standard_error=np.sqrt(_rounded_alike(drawn / sizes, variances, 2 * floor)),
        freedom=freedom + trust * (usual - freedom),
    )


def _rounded_alike(shares: Groups, variances: Groups, floor: float) -> Groups:
    """Runs that scatter less than rounding are all rounded the same way: more of them do not help."""
    return np.where(variances < floor, np.maximum(shares, floor), shares)


def _welch(shares: Groups, freedom: Groups) -> Contrasts:
    """Welch and Satterthwaite's degrees of freedom of every group with the first."""
    ours, base = shares[..., 1:], shares[..., :1]
    return (ours + base) ** 2 / (ours**2 / freedom[..., 1:] + base**2 / freedom[..., :1])


def interval_of_scatter(scatter: float, freedom: float, level: float = 0.95) -> tuple[float, float]:
    """The interval of a standard deviation that was estimated with `freedom` degrees of freedom."""
    from scipy.special import gammaincinv

    low, high = (
        float(np.sqrt(freedom / 2 / gammaincinv(freedom / 2, tail)))
        for tail in ((1 + level) / 2, (1 - level) / 2)
    )
    return scatter * low, scatter * high
