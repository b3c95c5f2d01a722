"""The experiment: a grid of dataset configurations over a workload, as frozen data from one TOML file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from headrace.errors import InputError
from headrace.policies import kinds_of
from headrace.specs.checks import cross_checks
from headrace.specs.interval import interval_rank
from headrace.specs.space import INTEGERS, POLICY, AnyEntry, Choices, Entry, Range
from headrace.specs.studies import FULL, Hyperparameters, StudyKey
from headrace.specs.subset_names import is_file
from headrace.specs.tables import Tables
from headrace.specs.widening import Design, Layer
from headrace.training import budget, recipe


class Experiment(Tables):
    """One experiment: what is trained on what, how trials are drawn, how each is trained.

    Attributes:
        seed: The root of every random stream.
        workload: What is trained.
        grid: The dataset configurations and optimizers.
        search: Where trials are drawn from.
        training: How each is trained.
        subsets: Name of a subset in the grid -> its file. A path in the grid is its own name. The places
            of the files are not part of the experiment: the workload's facts hold their checksums.
        report: What the report shows; not part of the experiment either.
        replicates: How often the best settings are trained again; asked for later, it only adds training.
            None: not at all.

    Raises:
        InputErrors: The tables do not go together (from any constructor).
    """

    def cross_checks(self) -> Sequence[InputError]:
        """What is wrong with tables that are each right by themselves."""
        return cross_checks(self)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read and check an experiment file; paths of subset files are relative to its folder.

        Args:
            path: The file.

        Raises:
            InputError: The file cannot be read, or is not TOML.
            InputErrors: Every error of its content at once.
        """
        made = super().from_toml(path)
        named = {name: name for name in made.grid.subset if is_file(name)} | made.subsets
        folder = Path(path).parent
        return made.model_copy(
            update={"subsets": {name: str((folder / file).resolve()) for name, file in named.items()}}
        )

    def identity(self) -> dict[str, Any]:
        """The content as nested dictionaries, without what no result depends on.

        That is, without the places of the subset files, what is made once the studies are decided, and
        whether studies are trained that are the same function.
        """
        made_later = {"subsets": True, "report": True, "replicates": True, "grid": {"repeat_equal"}}
        return self.model_dump(exclude=made_later)

    def digest(self) -> str:
        """A SHA-256 of the content, in hexadecimal: equal for two files that mean the same."""
        text = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def space_of(self, study: StudyKey) -> dict[str, AnyEntry]:
        """The part of the space that has an effect in `study`, with the settings of its policy."""
        return self._space_in(self.search.space, study)

    def _space_in(self, space: Mapping[str, Entry], study: StudyKey) -> dict[str, AnyEntry]:
        names = recipe.hyperparameters(study.optimizer, self.training.schedule)
        settings = self.search.policy.get(study.configuration.policy, {})
        return {name: entry for name, entry in space.items() if name in names} | {
            POLICY + setting: entry for setting, entry in settings.items()
        }

    def tuned(self, study: StudyKey) -> tuple[str, ...]:
        """The names tuned in `study`, in alphabetical order."""
        space = self.space_of(study)
        return tuple(name for name in sorted(space) if isinstance(space[name], Range | Choices))

    def hyperparameters(self, study: StudyKey, trial: int) -> Hyperparameters:
        """The hyperparameters of one trial: a pure function of (seed, study, trial).

        Studies that differ in their policy, subset or workers alone have the same values trial by trial,
        except the policy's own settings: all are tuned alike, and none by a luckier draw of learning rates.
        """
        return self._design(study).hyperparameters(trial)

    def order(self, study: StudyKey) -> Sequence[int]:
        """The trials that a study can have, in the order in which they count; see `specs.widening`."""
        return self._design(study).order() if self.search.before else range(self.search.limit)

    def _design(self, study: StudyKey) -> Design:
        policy = study.configuration.policy
        alike = study.configuration.model_copy(update={"policy": "shuffle", "subset": FULL, "workers": 1})
        kinds = kinds_of(policy) if policy in self.search.policy else {}
        return Design(
            layers=self.layers(study),
            seed=self.seed,
            stream=StudyKey(optimizer=study.optimizer, configuration=alike).name,
            whole=INTEGERS | {POLICY + setting for setting, kind in kinds.items() if kind is int},
        )

    def layers(self, study: StudyKey) -> list[Layer]:
        """The study's space as it was at first, and as it was after each time that it was widened.

        A space from before its optimizer was in the grid lacks its hyperparameters, and is none of its own.
        """
        own = Layer(space=self.space_of(study), trials=self.search.limit)
        layers = [
            Layer(space=self._space_in(earlier.space, study), trials=earlier.trials)
            for earlier in self.search.before
        ]
        layers = [*(layer for layer in layers if layer.space.keys() == own.space.keys()), own]
        # What was widened for other optimizers alone is the same space here.
        return [*(one for one, after in pairwise(layers) if one.space != after.space), own]

    def budget_steps(
        self, study: StudyKey, train_examples: int, tokens_per_example: float | None = None
    ) -> int:
        """The step budget of a trial in `study`, on a subset of `train_examples`.

        Raises:
            InputError: The budget allows no step, or is in tokens and the workload does not count tokens.
        """
        asked = self.training.budget
        return budget.budget_steps(
            study.configuration.batch_size,
            train_examples,
            steps=asked.steps,
            epochs=asked.epochs,
            tokens=asked.tokens,
            tokens_per_example=tokens_per_example,
        )

    @property
    def rank(self) -> int:
        """How many of a study's smallest steps-to-result are exact; the interval needs them."""
        return interval_rank(self.search.trials)
