"""The names of optimizers, and the hyperparameters that each has. Imports no torch.

One is added by a file with its function, like those of `optimizers`, and one line here.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.homes import Entry

_HERE = "headrace.training.optimizers:"


@dataclass(frozen=True, kw_only=True)
class OptimizerEntry(Entry):
    """An optimizer.

    Attributes:
        words: How it is written in a sentence.
        uses: The hyperparameters that have an effect with it, besides those that every optimizer has. With
            `momentum` an update acts for about 1 / (1 - momentum) steps.
        hidden: Whether it must know which parameters are matrices of hidden layers.
        moments: How many numbers it remembers of each weight where it updates several models at once
            (`headrace.training.stacked_updates`); None: it cannot.
    """

    words: str
    uses: frozenset[str] = frozenset()
    hidden: bool = False
    moments: int | None = None


OPTIMIZERS: dict[str, OptimizerEntry] = {
    "sgd": OptimizerEntry(home=_HERE + "sgd", words="SGD", moments=0),
    "momentum": OptimizerEntry(
        home=_HERE + "momentum", words="heavy-ball momentum", uses=frozenset({"momentum"}), moments=1
    ),
    "nesterov": OptimizerEntry(
        home=_HERE + "nesterov", words="Nesterov momentum", uses=frozenset({"momentum"}), moments=1
    ),
    "adamw": OptimizerEntry(
        home=_HERE + "adamw", words="AdamW", uses=frozenset({"beta1", "beta2", "epsilon"}), moments=2
    ),
    "muon": OptimizerEntry(
        home="headrace.training.muon:muon",
        words="Muon",
        uses=frozenset({"momentum", "beta1", "beta2", "epsilon"}),
        hidden=True,
    ),
}
"""Name in experiment files -> optimizer."""


def in_words(name: str, *, first: bool = False) -> str:
    """How the optimizer `name` is written in a sentence; an unknown one, of another version, by its name.

    Args:
        name: As in an experiment file.
        first: Whether it begins with a capital letter.
    """
    if name not in OPTIMIZERS:
        return name
    words = OPTIMIZERS[name].words
    return words[0].upper() + words[1:] if first else words
