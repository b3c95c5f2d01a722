"""Every setting of every policy: taken within its bounds, refused beyond them, kept as a plain number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from headrace.errors import InputError
from headrace.policies import ACTIVE_BIAS, POLICIES, RandomPartition, Refreshed, make_policy, settings_of
from headrace.policies._values import SCORES
from headrace.policies.registry import WRAPPERS, kinds_of

ONE_AND_MORE = ([1, 1.5, 7, 100.0], [0.99, 0.5, 0, -1])
ABOVE_ZERO = ([1e-6, 0.5, 1, 30], [0, -1e-6, -0.5, -1])
SHARE = ([1e-6, 0.5, 1], [0, -0.5, 1.01, 1.5, 2])
FLAG = ([True, False], [0, 1, 2, "true"])
EPOCHS = ([1, 2, 50], [0, -1, 1.5])

BOUNDS: dict[str, tuple[list[Any], list[Any]]] = {
    "epsilon": ABOVE_ZERO,
    "systematic": FLAG,
    "score": (["difficulty", "mean-loss", "mean_loss", "last_loss"], ["hardness", 3, True, "difficulty "]),
    "candidates": ([2, 3, 10], [1, -1, -2, 2.5]),
    "selective-backprop candidates": ([0, 2, 10], [1, -1, -2, 2.5]),
    "always": FLAG,
    "beta": ABOVE_ZERO,
    "window": ([1, 2, 1024], [0, -1, 1.5]),
    "pressure": ONE_AND_MORE,
    "ratio": ([0, 0.5, 0.999], [-0.01, -0.5, 1, 1.5]),
    "until": ([0, 0.5, 1], [-0.01, -0.5, 1.01, 1.5]),
    "start": SHARE,
    "full_at": SHARE,
    "share": SHARE,
    "gamma": ABOVE_ZERO,
    "annealing_epochs": EPOCHS,
    "per_class": FLAG,
    "burn_in_epochs": ([0, 1, 2, 50], [-1, 1.5]),
    "refresh_epochs": EPOCHS,
}
"""Setting (with its policy in front, where it is another's too) -> what is taken, what is refused."""

UNTAKEN = {
    "annealing_epochs": set(POLICIES)
    - {"sample", "importance-sample", "weight", "recency-bias", "focal"}
    - {name for name in POLICIES if name.startswith(("sample-", "importance-", "weight-"))},
    "per_class": {"gradient-norm", "selective-backprop", "rho-loss"}
    | {name for name in POLICIES if name.startswith("partition-")},
}
"""Wrapper -> the policies that cannot be wrapped so."""

ALL = [(name, setting) for name in POLICIES for setting in settings_of(name)]


def bounds(name: str, setting: str) -> tuple[list[Any], list[Any]]:
    taken, refused = BOUNDS.get(f"{name} {setting}") or BOUNDS[setting]
    if name.startswith("partition-") and name != "partition-random" and setting == "burn_in_epochs":
        return [epochs for epochs in taken if epochs], [*refused, 0]
    return taken, refused


@pytest.mark.parametrize(("name", "setting"), ALL)
def test_settings_are_taken_up_to_their_bounds_and_refused_beyond(name: str, setting: str) -> None:
    taken, refused = bounds(name, setting)
    if name in UNTAKEN.get(setting, ()):
        taken, refused = [value for value in taken if value is False], [*refused, *(v for v in taken if v)]
    for value in taken:
        make_policy(name, **{setting: value})
    for value in [*refused, math.nan, math.inf, "3", *([] if setting == "epsilon" else [None])]:
        with pytest.raises(InputError):
            make_policy(name, **{setting: value})


@pytest.mark.parametrize(("name", "setting"), [one for one in ALL if one[1] not in ("score", *WRAPPERS)])
def test_numbers_of_numpy_make_the_same_policy_as_those_of_python(name: str, setting: str) -> None:
    for value in bounds(name, setting)[0]:
        given = np.float64(value) if isinstance(value, float) else np.array(value)[()]
        made, plain = make_policy(name, **{setting: given}), make_policy(name, **{setting: value})
        assert made == plain
        assert repr(made) == repr(plain)
        assert type(getattr(made, setting)) is type(value)


@pytest.mark.parametrize("wrapper", ["annealing_epochs", "burn_in_epochs", "refresh_epochs"])
def test_wrappers_keep_plain_numbers_too(wrapper: str) -> None:
    made = make_policy("weight", **{wrapper: np.int32(4)})
    assert type(made.epochs) is int
    assert repr(made) == repr(make_policy("weight", **{wrapper: 4}))


def test_kinds_of_settings_are_those_of_their_values() -> None:
    for name, setting in ALL:
        kind, taken = kinds_of(name)[setting], bounds(name, setting)[0]
        assert all(isinstance(value, (int, float) if kind is float else kind) for value in taken)
        assert list(kinds_of(name)) == list(settings_of(name))


@pytest.mark.parametrize("name", ["sample", "importance-sample", "weight", "partition-stripes"])
def test_scores_are_taken_by_name_with_either_dash_or_as_functions(name: str) -> None:
    for score in SCORES:
        make_policy(name, score=score)
        make_policy(name, score=score.replace("-", "_"), burn_in_epochs=2)

    def own(history: Any) -> Any:
        return history

    assert make_policy(name, score=own, burn_in_epochs=1).policy.score is own


@pytest.mark.parametrize(
    ("score", "epochs"), [("mean-loss", 1), ("loss-variance", 2), ("variability", 2), ("aum", 1)]
)
def test_a_partition_burns_in_until_its_score_is_defined(score: str, epochs: int) -> None:
    for name in ("partition-stripes", "partition-blocks"):
        assert make_policy(name, score=score, burn_in_epochs=epochs).epochs == epochs
        with pytest.raises(InputError, match=f"needs at least {epochs}"):
            make_policy(name, score=score, burn_in_epochs=epochs - 1)


def test_settings_by_position_end_where_those_of_the_wrappers_begin() -> None:
    assert make_policy("infobatch", 0.25, 0.5) == make_policy("infobatch", ratio=0.25, until=0.5)
    for name, given in (("infobatch", (0.25, 0.5, 3)), ("shuffle", (1,)), ("WD", (0.1, 2))):
        with pytest.raises(InputError, match=f"at most {len(given) - 1} settings by position"):
            make_policy(name, *given)
    with pytest.raises(InputError, match="policy: unknown setting"):
        make_policy("shuffle", ratio=0.5)


def test_names_of_the_paper_make_the_same_policies() -> None:
    for short, name in ACTIVE_BIAS.items():
        assert make_policy(short) == make_policy(name)
        assert settings_of(short) == settings_of(name)
        assert kinds_of(short) == kinds_of(name)


def test_a_name_almost_right_is_answered_with_the_nearest_three() -> None:
    with pytest.raises(InputError) as caught:
        make_policy("importance-difficult")
    assert str(caught.value).count(" or ") == 2
    with pytest.raises(InputError, match=r"Known: shuffle, uniform, .*partition-random\.$"):
        make_policy("q")


def test_what_cannot_be_wrapped_is_refused() -> None:
    with pytest.raises(InputError, match=r"Refreshed\.policy: must be a policy"):
        Refreshed("shuffle", epochs=2)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="per class"):
        make_policy("partition-random", per_class=True)
    assert Refreshed(RandomPartition(), epochs=3).divides
