"""A language model on a text. Change what is yours, then give `headrace run experiment.toml`."""

from torch import nn

from headrace import Workload
from headrace.workloads import Corpus, language_model, read_text
from headrace.workloads.language.gpt import GPT
from headrace.workloads.language.made_names import made_names
from headrace.workloads.language.text import documents

WHERE: str | None = None
"""A text file. None: made-up names, to see how it works."""
WINDOW = 32
"""How many tokens (here characters) the model sees at once."""


def model(vocabulary: int, window: int) -> nn.Module:
    """Your model: logits [batch window vocabulary] of token numbers [batch window], freshly initialised."""
    return GPT(vocabulary, window, width=32, layers=2, heads=2)


def workload(goal: float = 2.2) -> Workload:
    """The data, the model, and the goal: nats per token on the validation split to get below."""
    corpus = made_up() if WHERE is None else read_text(WHERE)
    return language_model(corpus, model=model, window=WINDOW, goal=goal, name="text")


def made_up() -> Corpus:
    """Names, a document each. Delete this once your text is there."""
    return documents([name.encode() for name in made_names(2000)], "characters", where="made names")
