"""Rules by which a setting is carried from one batch size to another, as `[report] rules` names them.

With k = B / B0 the ratio of the batch sizes:

- `constant`: nothing changes;
- `square-root`: the learning rate times sqrt(k); `linear`: times k;
- `half-life`: beta2 to the power k, so that its half-life is constant in examples (Marek et al. 2025 [V]);
- `malladi`: the learning rate times sqrt(k), beta1 and beta2 to 1 - k (1 - beta), epsilon over sqrt(k)
  (Malladi et al. 2022 [V abstract, R formula]);
- `weight-decay`: weight decay times k (Bergsma et al. 2025 [V]).

Several are joined by `+`: "square-root+half-life". What a rule does not name stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

Carry = Callable[[float, float], float]
"""(value at B0, k) -> value at B."""


def _sqrt(value: float, ratio: float) -> float:
    return value * ratio**0.5


def _times(value: float, ratio: float) -> float:
    return value * ratio


def _half_life(value: float, ratio: float) -> float:
    return value**ratio


def _from_one(value: float, ratio: float) -> float:
    return 1 - ratio * (1 - value)


RULES: Mapping[str, Mapping[str, Carry]] = {
    "constant": {},
    "square-root": {"learning_rate": _sqrt},
    "linear": {"learning_rate": _times},
    "half-life": {"beta2": _half_life},
    "malladi": {
        "learning_rate": _sqrt,
        "beta1": _from_one,
        "beta2": _from_one,
        "epsilon": lambda value, ratio: value * ratio**-0.5,
    },
    "weight-decay": {"weight_decay": _times},
}
"""Rule -> hyperparameter -> how it is carried."""


def parts_of(rule: str) -> list[str]:
    """The rules that are joined in one."""
    return [part.strip() for part in rule.split("+")]


def moves(rule: str) -> dict[str, Carry]:
    """Hyperparameter -> how a rule, or several that are joined, carries it."""
    return {name: carry for part in parts_of(rule) for name, carry in RULES[part].items()}


def carried(rule: str, values: Mapping[str, float], ratio: float) -> dict[str, float]:
    """The setting at k = `ratio` times the batch size.

    Args:
        rule: One of `RULES`, or several joined by `+`.
        values: Those that were searched; what is not among them is not carried.
        ratio: k.

    Returns:
        All of them, in the same order; a momentum may come out below 0.
    """
    carries = moves(rule)
    return {name: carries[name](value, ratio) if name in carries else value for name, value in values.items()}
