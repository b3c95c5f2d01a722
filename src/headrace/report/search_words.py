"""What the page of a subset search says beside its figures, for a reader without the paper."""

from __future__ import annotations

from headrace.report.words import Words

LINES = Words(
    title="The result against the size of the subset",
    caption=(
        "The mean over the seeds of the metric at the end of training on the subset; lower is better. The "
        "bars are 95 % intervals of the mean. Points at one size are drawn side by side. The dashed line "
        "with its band is training on everything.",
        "A method is worth its cost only where it lies below random by more than the intervals: the "
        "verdicts above test that, corrected for how many methods and sizes there are. With a budget of "
        "steps all sizes cost the same; with a budget of epochs smaller subsets are trained for fewer steps.",
        "Where a search begins at random, all its methods are the same subset at the first size.",
    ),
)
CLASSES = Words(
    title="Which classes were taken",
    caption=(
        "A class's share of the largest subset over its share of the training set: at 1 it is taken as often "
        "as it occurs. The bar is the range over the seeds. How far random subsets scatter shows what chance "
        "alone does.",
    ),
)
SCORES = Words(
    title="The scores of what was chosen",
    caption=(
        "For each method the score by which its last round chose, with the first seed: of all that it could "
        "still choose from, and of what it chose, as shares of these on a logarithmic axis. Where the two "
        "have the same shape, the score decided little.",
    ),
)
WALLS: dict[str, tuple[str, str]] = {
    "wanted": ("Most wanted", "The highest scores of the last round."),
    "typical": ("Like most that was chosen", "Drawn at random from what the last round chose."),
    "left": ("Left out", "The lowest scores of what was never chosen."),
    "often": ("Chosen again and again", "What most rounds chose: the number is how many."),
}
"""Wall of a gallery -> its title, and why its examples hang there."""

GLOSSARY: tuple[tuple[str, str], ...] = (
    ("subset", "the examples that were chosen; one that was chosen again has more weight."),
    ("member, ensemble", "one model, here a checkpoint of a run, and all that vote together."),
    (
        "acquisition function",
        "one number per example from the ensemble's predictions; the highest are wanted.",
    ),
    ("method", "an acquisition function, a way to choose by it, or both."),
    ("round", "training, scoring, choosing: each makes the subset larger. Round 0 is the random start."),
    ("random", "a random subset of the same size, trained in the same way."),
    ("rs2", "a fresh random subset each epoch."),
    ("full", "training on everything."),
    ("scored", "members × examples: forward passes without training."),
    ("95 % interval", "Student's interval of the mean over the seeds, each a whole search."),
)
