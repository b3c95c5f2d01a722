"""What the page says beside its figures, for a reader without the paper: titles, captions, the glossary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Words:
    """A figure's title, and its caption in paragraphs: what is to be seen, and how to read it."""

    title: str
    caption: tuple[str, ...]


SCALING = Words(
    title="How many steps each batch size needs",
    caption=(
        "Each point is the fewest training steps in which any trial at that batch size reached the goal, "
        "with the hyperparameters searched afresh for every batch size. Lower is faster, if a larger batch "
        "can be processed in the same time. Both axes double at every grid line. The bar through a point is "
        "its 95 % interval: how much the fewest steps would vary had the search tried other "
        "hyperparameters.",
        "The dashed line is perfect scaling: twice the batch, half the steps. While the points follow it, a "
        "larger batch costs nothing. The line through the points is the fitted law, steps = fewest steps × "
        "(1 + critical batch size / batch size). The rows below show where perfect scaling ends, from where "
        "on a larger batch saves no more steps, and the critical batch size with its interval.",
    ),
)
NORMALISED = Words(
    title="The same curves with their scales divided out",
    caption=(
        "First: steps divided by those of the same curve's smallest batch size. Curves that start together "
        "and part later differ in how far they scale, not in how fast they start.",
        "Second: both axes divided by the fit. If the law holds, all points fall on the one grey line. To "
        "its left steps halve as batches double; at 1 the steps are twice the minimum; to its right there "
        "is little to gain.",
    ),
)
EXAMPLES = Words(
    title="What the goal costs in examples",
    caption=(
        "Batch size × steps: the number of examples processed until the goal, which is close to the "
        "computing cost. Flat means that a larger batch is free: the same work, done in fewer steps. Where "
        "the points climb, each step saved is paid for with more examples.",
    ),
)
FORWARDED = Words(
    title="What the goal costs in forward passes",
    caption=(
        "All examples that went through the network until the goal: those trained on, and those that a "
        "policy only looked at to choose among them or to prepare itself. A policy that needs few steps and "
        "looks at many examples for each stands low in the figure of steps and high in this one. The bar "
        "spans the trials within the interval of the fewest steps. A backward pass costs about twice a "
        "forward pass.",
    ),
)
TRADE_OFF = Words(
    title="Time against cost",
    caption=(
        "Each point is a batch size (the small numbers): across, the examples processed until the goal "
        "(cost); up, the steps one after the other (time). Down and to the left is better. The best "
        "compromise is at the bend: at the critical batch size both are twice their minimum.",
    ),
)
TUNING = Words(
    title="The best hyperparameters at each batch size",
    caption=(
        "The values of the trial with the fewest steps. The bar spans the values of all trials that reached "
        "the goal within the interval of the fewest steps: a long bar means that the value hardly matters.",
        "The lines carry the best value of the smallest batch size to the others by two common rules: "
        "multiply it by the factor of the batch size (linear), or by its square root. Where the points "
        "leave a line, that rule would have given a worse learning rate than the search found. The "
        "effective learning rate is the learning rate divided by (1 − momentum): how far the weights move "
        "in all for one gradient.",
    ),
)
BUDGETS = Words(
    title="The best result for a fixed budget",
    caption=(
        "The best validation metric that any trial had within the budget named at the line's right end; "
        "lower is better. With a budget of steps a larger batch sees more examples, so large batches look "
        "good. With a budget of epochs a larger batch takes fewer steps, so small ones do. Which is fair "
        "depends on whether your time or your computing is limited.",
    ),
)
DATA_MAP = Words(
    title="A map of the training data",
    caption=(
        "Every example that was trained on lies in one of the squares. Up: its confidence, the mean "
        "probability that the model gave to its label over the passes; across: its variability, how much "
        "that probability moved. The colour says how often its label was predicted, the size how many "
        "examples lie there.",
        "Upper left: easy, learnt at once. Right: ambiguous, now right and now wrong. Lower left: hard, "
        "never learnt; here wrong labels gather, if there are any. (Swayamdipta et al. 2020.)",
    ),
)
DISTRIBUTIONS = Words(
    title="How scores are distributed",
    caption=(
        "The share of the examples in each range of a score, on a logarithmic axis, so that a single "
        "example is seen at the lower edge. A second hump at the hard end (low confidence and AUM, high "
        "loss and EL2N) is a group worth looking at: wrong labels, a class that was not understood, or "
        "broken inputs.",
    ),
)
FEED = Words(
    title="What each epoch was fed",
    caption=(
        "Effective sample size: if w is the total weight of an example's draws in the epoch, (sum of w)² / "
        "sum of w², as a share of the training set. It is 100 % where all examples count alike. Drawing as "
        "many at random with replacement alone gives 50 %.",
        "Unseen: the share of the training set without weight in the epoch; never seen: in this epoch and "
        "all before it. What is never seen cannot be learnt from.",
    ),
)

_SEARCH = (
    "A panel for each batch size B, each mark one trial; the title says how many reached the goal. The star "
    "is the trial with the fewest steps. A star at the edge of the cloud means that the search space should "
    "be wider there. Trials that were stopped early could no longer have changed the result."
)


def search_words(curve: str, *, momentum: bool) -> Words:
    """The words of one curve's scatter."""
    axes = (
        "Across: the learning rate; up: the momentum, on an axis in which 0.9, 0.99 and 0.999 are equally "
        "far apart."
        if momentum
        else (
            "Across: the learning rate; up: the steps to the goal, or the steps trained where it was not "
            "reached."
        )
    )
    return Words(title=f"Every trial of the search: {curve}", caption=(axes, _SEARCH))


WALLS: dict[str, tuple[str, str]] = {
    "suspicious": (
        "Most suspicious",
        "The lowest AUM: the model kept preferring another label, even while it was trained on this one.",
    ),
    "hardest": ("Hardest", "The highest mean loss."),
    "forgotten": (
        "Most often forgotten",
        "Learnt, and unlearnt again: the most changes from right to wrong.",
    ),
    "unsteady": ("Most unsteady", "The highest variance of the loss."),
}
"""Wall of a gallery -> its title, and why its examples hang there."""

GLOSSARY: tuple[tuple[str, str], ...] = (
    ("batch size, B", "how many examples one step of training averages over."),
    ("step", "one update of the model's weights."),
    ("goal", "the validation metric that a trial must get strictly below."),
    ("trial", "one training run with one choice of hyperparameters."),
    ("study", "one search over hyperparameters, for one optimiser and one batch size."),
    ("steps to result, S(B)", "the first evaluated step below the goal, the minimum over a study's trials."),
    ("examples to result", "batch size × steps to result."),
    ("examples forwarded", "examples that went through the network, be it to be trained on or chosen among."),
    ("perfect scaling", "twice the batch, half the steps; the total of examples stays the same."),
    ("largest useful batch", "the smallest batch size from which on a larger one saves no more steps."),
    (
        "critical batch size",
        "where steps and examples are both twice their minimum, in the fitted law steps = fewest × (1 + "
        "critical / B).",
    ),
    ("fewest steps", "the steps that the best batch size tested needed."),
    (
        "95 % interval",
        "the range that the value would have in 95 of 100 repetitions of the search; a difference within it "
        "is none.",
    ),
    ("effective learning rate", "learning rate / (1 − momentum)."),
    ("complete", "a trial that reached the goal, or trained to the end of its budget."),
    ("infeasible", "a trial that diverged: its loss exploded."),
    ("stopped", "a trial ended early because it could no longer change the result."),
    ("failed", "a trial that raised an error."),
    (
        "portrait",
        "the best trial of a policy, trained again beside the studies with a record of every example.",
    ),
    (
        "AUM",
        "area under the margin: the mean over the passes of the label's logit less the highest other one; "
        "low where the model keeps contradicting the label.",
    ),
    ("EL2N", "the mean length of the difference between the predicted probabilities and the label."),
    ("forgotten", "predicted right at one time, and wrong the next time it was trained on."),
    (
        "area under the ROC curve",
        "how often an example with a wrong label has the higher score of two, the other being right; 0.5 is "
        "chance.",
    ),
)
