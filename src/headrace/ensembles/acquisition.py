"""Acquisition functions: one number per example from an ensemble's statistics; higher = more uncertain.

Public as `headrace.acquisition`. Each is a pure function of `EnsembleStatistics`. With pbar the mean of the
members' probabilities and E members (Chitta et al. 2019, arXiv 1905.12737, section 3; margin and least
confidence as in Settles 2009, both of pbar). Logarithms are natural: entropies are in nats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headrace.ensembles._probabilities import bernoulli_entropies, entropies, row_blocks
from headrace.ensembles.registry import ACQUISITIONS
from headrace.ensembles.statistics import EnsembleStatistics
from headrace.errors import InputError
from headrace.homes import Found

Scores = Float[np.ndarray, " examples"]
Acquisition = Callable[[EnsembleStatistics], Scores]


def entropy(statistics: EnsembleStatistics) -> Scores:
    """H(pbar): how undecided the ensemble is as a whole.

    With multilabel statistics, the sum over classes of the Bernoulli entropies of pbar_c.

    Args:
        statistics: At least one member for every example.

    Returns:
        Nats in 0..ln(classes), or 0..classes x ln 2 for multilabel [examples].

    Raises:
        InputError: An example has no member.
    """
    measure = bernoulli_entropies if statistics.multilabel else entropies
    return _of_mean(statistics, measure)


def mutual_information(statistics: EnsembleStatistics) -> Scores:
    """H(pbar) - mean over members of H(p_e): how much the members disagree (BALD, Houlsby et al. 2011).

    Never negative: what rounding leaves below zero is zero.

    Args:
        statistics: At least one member for every example; with one member it is 0 everywhere.

    Returns:
        Nats [examples].

    Raises:
        InputError: An example has no member.
    """
    of_mean = entropy(statistics)
    mean_of = (statistics.entropy_sum / statistics.members).cpu().numpy()
    return np.maximum(of_mean - mean_of, 0.0)


def variation_ratio(statistics: EnsembleStatistics) -> Scores:
    """1 - max_c votes_c / E: the share of members that did not vote for the most popular class.

    By votes; `1 - max pbar`, which some libraries call by this name, is `least_confidence`.

    Args:
        statistics: At least one member for every example, with votes.

    Returns:
        0..1 - 1/E [examples].

    Raises:
        InputError: An example has no member, or the statistics keep no votes.
    """
    if statistics.votes is None:
        fix = "There are none with multilabel=True; else leave out votes=False."
        raise InputError("the statistics keep no votes", where="variation_ratio", fix=fix)
    statistics.check_complete()
    most = torch.empty(statistics.num_examples, dtype=torch.float64)
    for rows, counts in statistics.votes.blocks(row_blocks(statistics.num_examples, statistics.num_classes)):
        most[rows] = counts.amax(1).double().cpu()
    return 1.0 - (most / statistics.members.cpu()).numpy()


def error_count(statistics: EnsembleStatistics) -> Scores:
    """Mean over members of 1[argmax p_e != y]: the share of members that are wrong; needs labels.

    Args:
        statistics: Every member added with targets, for every example.

    Returns:
        0..1 [examples].

    Raises:
        InputError: An example has no member, or a member came without targets.
    """
    statistics.check_complete()
    hidden = (statistics.targeted < statistics.members).nonzero()
    if len(hidden):
        raise InputError(
            "a member was added without targets",
            where=f"error_count, example {int(hidden[0, 0])}",
            fix="Give targets to every add_member; if labels are hidden use variation_ratio.",
        )
    return (statistics.errors.double() / statistics.members).cpu().numpy()


def margin(statistics: EnsembleStatistics) -> Scores:
    """1 - (pbar of the first class - pbar of the second): turned round, so that higher = more uncertain.

    Args:
        statistics: At least one member for every example; not multilabel.

    Returns:
        0 (certain) .. 1 (two classes tie) [examples].

    Raises:
        InputError: An example has no member, or the statistics are multilabel.
    """
    _refuse_multilabel(statistics, "margin")

    def turned(mean: Tensor) -> Tensor:
        top = mean.topk(2, dim=1).values
        return 1.0 - (top[:, 0] - top[:, 1])

    return _of_mean(statistics, turned)


def least_confidence(statistics: EnsembleStatistics) -> Scores:
    """1 - max pbar: how far the favourite class is from certain.

    Args:
        statistics: At least one member for every example; not multilabel.

    Returns:
        0 .. 1 - 1/classes [examples].

    Raises:
        InputError: An example has no member, or the statistics are multilabel.
    """
    _refuse_multilabel(statistics, "least_confidence")
    return _of_mean(statistics, lambda mean: 1.0 - mean.amax(1))


FUNCTIONS: Mapping[str, Acquisition] = Found(ACQUISITIONS)
"""Name, as a search file says it -> function, those of other files as well."""


def __getattr__(name: str) -> Acquisition:
    if name not in FUNCTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return FUNCTIONS[name]


def _of_mean(statistics: EnsembleStatistics, function: Callable[[Tensor], Tensor]) -> Scores:
    scores = torch.empty(statistics.num_examples, dtype=torch.float64)
    for rows, mean in statistics.mean_blocks():
        scores[rows] = function(mean).cpu()
    return scores.numpy()


def _refuse_multilabel(statistics: EnsembleStatistics, name: str) -> None:
    if statistics.multilabel:
        raise InputError(
            "multilabel statistics have no single most likely class",
            where=name,
            fix="Use entropy or mutual_information.",
        )
