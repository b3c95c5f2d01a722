"""What the pages say about their figures, for a reader without the paper."""

from __future__ import annotations

LOOKED_AT: dict[str, tuple[str, str]] = {
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
"""Group of examples in a portrait -> its title, and why they are in it."""

LOOKED_AT_BY_SEARCH: dict[str, tuple[str, str]] = {
    "wanted": ("Most wanted", "The highest scores of the last round."),
    "typical": ("Like most that was chosen", "Drawn at random from what the last round chose."),
    "left": ("Left out", "The lowest scores of what was never chosen."),
    "often": ("Chosen again and again", "What most rounds chose: the number is how many."),
}
"""Group of examples of a method -> its title, and why they are in it."""

GLOSSARY: tuple[tuple[str, str], ...] = (
    ("batch size, B", "how many examples one step of training averages over."),
    ("step", "one update of the model's weights."),
    ("goal", "the validation metric that a trial must get strictly below."),
    ("trial", "one training run with one choice of hyperparameters."),
    ("study", "one search over hyperparameters, for one optimizer and one batch size."),
    ("steps to result, S(B)", "the first evaluated step below the goal, the minimum over a study's trials."),
    ("examples to result", "batch size × steps to result."),
    ("examples forwarded", "examples that went through the network, to be trained on or to be chosen among."),
    ("perfect scaling", "twice the batch, half the steps; the total of examples stays the same."),
    ("largest useful batch", "the smallest batch size from which on a larger one saves no more steps."),
    (
        "critical batch size",
        "where steps and examples are both twice their minimum, in the fitted law steps = fewest × (1 + "
        "critical / B).",
    ),
    ("fewest steps", "the steps that the best batch size tested needed."),
    (
        "95% interval",
        "made to hold the true value in 95 of 100 experiments; that of S(B) says what searches with half "
        "as many trials would have found. If it holds no difference, that does not show that there is none.",
    ),
    (
        "effective learning rate",
        "learning rate / (1 − momentum); to judge a rule, 1 / (1 − momentum) counts up to half the steps.",
    ),
    ("complete", "a trial that reached the goal, or trained to the end of its budget."),
    ("infeasible", "a trial that diverged: its loss exploded."),
    ("stopped", "a trial ended early because it could no longer change the result."),
    ("failed", "a trial that raised an error."),
    (
        "portrait",
        "the best trial of a policy, trained again after the studies, with a record of every example.",
    ),
    (
        "AUM",
        "area under the margin: the mean over the passes of the label's logit less the highest other one; "
        "low if the model keeps contradicting the label.",
    ),
    ("EL2N", "the mean length of the difference between the predicted probabilities and the label."),
    ("forgotten", "predicted right at one time, and wrong the next time it was trained on."),
    (
        "area under the ROC curve",
        "how often an example with a wrong label has the higher score of two, the other being right; 0.5 is "
        "chance.",
    ),
)

SEARCH_GLOSSARY: tuple[tuple[str, str], ...] = (
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
    ("95% interval", "Student's interval of the mean over the seeds, each a whole search."),
)
