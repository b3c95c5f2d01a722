"""Members at once equal members one by one; checkpoints that do not fit are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from headrace.ensembles import (
    EnsembleStatistics,
    Member,
    acquisition,
    as_chunks,
    plan_inference,
    predict_members,
    score_chunks,
    score_members,
)
from headrace.errors import DamagedError, InputError
from headrace.random import generator, torch_stream


class Images:
    """Eleven random 8x8 images of three classes."""

    inputs = torch.from_numpy(generator(0, "images").normal(size=(11, 1, 8, 8))).float()
    targets = torch.arange(11) % 3

    def __init__(self) -> None:
        self.fetched = 0

    def __len__(self) -> int:
        return len(self.inputs)

    def fetch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        self.fetched += len(indices)
        return self.inputs[indices], self.targets[indices]


def build_cnn() -> nn.Module:
    layers = [
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
    ]
    return nn.Sequential(*layers, nn.Linear(36, 3))


def build_mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 3))


class Branching(nn.Module):
    """Control flow that depends on the data: torch.func cannot stack it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.layer(inputs.flatten(1))
        return outputs if float(outputs.sum()) > 0 else -outputs


def make(folder: Path, build, count: int, prefix: str) -> list[Member]:
    members = []
    for i in range(count):
        with torch_stream(0, prefix, i):
            model = build()
            for buffer in (b for name, b in model.named_buffers() if "running_var" in name):
                buffer.uniform_(0.5, 2)
        path = folder / f"{prefix}{i}.safetensors"
        save_file(model.state_dict(), path)
        members.append(Member(name=f"{prefix}{i}", checkpoint=path, build=build))
    return members


def one_by_one(members: list[Member]) -> Tensor:
    with torch.no_grad():
        return torch.stack([member.load()(Images.inputs).softmax(1) for member in members])


def gather(members: list[Member], **options) -> Tensor:
    rows: dict[str, list[Tensor]] = {member.name: [] for member in members}
    for part in predict_members(members, Images(), **options):
        assert torch.equal(part.targets, Images.targets[part.start : part.start + len(part.targets)])
        for name, probabilities in zip(part.members, part.probabilities, strict=True):
            rows[name].append(probabilities)
    return torch.stack([torch.cat(rows[member.name]) for member in members])


@pytest.mark.parametrize("stacked", [None, True, False])
@pytest.mark.parametrize("build", [build_cnn, build_mlp, Branching])
def test_at_once_equals_one_by_one(tmp_path, build, stacked):
    members = make(tmp_path, build, 5, "m")
    got = gather(members, batch_size=11, stacked=stacked)
    torch.testing.assert_close(got, one_by_one(members), atol=1e-6, rtol=0)


def test_several_architectures_keep_their_order(tmp_path):
    cnns, mlps = make(tmp_path, build_cnn, 2, "cnn"), make(tmp_path, build_mlp, 3, "mlp")
    members = [cnns[0], *mlps, cnns[1]]
    got = gather(members, batch_size=4, stacked=True)
    torch.testing.assert_close(got, one_by_one(members), atol=1e-6, rtol=0)


def test_memory_decides_on_passes_and_not_on_results(tmp_path):
    members = make(tmp_path, build_mlp, 5, "m")
    roomy = plan_inference(members, Images(), batch_size=4)
    assert (roomy.members_at_once, roomy.passes, roomy.batch_size) == (5, 1, 4)
    # Half for members: a member is 343 numbers, held twice.
    tight = plan_inference(members, Images(), batch_size=4, memory_bytes=2 * 2 * (2 * 343 * 4))
    assert (tight.members_at_once, tight.passes) == (2, 3)
    assert tight.estimated_bytes <= 2 * 2 * (2 * 343 * 4)
    torch.testing.assert_close(gather(members, memory_bytes=1), one_by_one(members), atol=1e-6, rtol=0)
    data = Images()
    list(predict_members(members, data, batch_size=4))
    assert data.fetched == 1 + 11


def test_scoring_goes_on_where_it_stopped_and_shards_merge(tmp_path):
    members = make(tmp_path, build_mlp, 3, "m")
    whole = EnsembleStatistics(11, 3)
    for probabilities in one_by_one(members):
        whole.add_member(0, probabilities, Images.targets)
    first, second = EnsembleStatistics(11, 3), EnsembleStatistics(11, 3)
    score_members(members[:1], Images(), first, stop=4)
    seen: list[tuple[int, int]] = []
    score_members(members, Images(), first, stop=6, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2 + 6 + 6, 14)
    score_members(members, Images(), second, start=6, batch_size=2)
    first.merge(second)
    for function in acquisition.FUNCTIONS.values():
        np.testing.assert_allclose(function(first), function(whole), atol=1e-6)


def test_one_pass_straight_into_scores(tmp_path):
    members = make(tmp_path, build_cnn, 3, "m")
    statistics = score_members(members, Images(), EnsembleStatistics(11, 3))
    functions = {"mi": acquisition.mutual_information, "errors": acquisition.error_count}
    scores = score_chunks(11, 3, as_chunks(predict_members(members, Images(), batch_size=4)), functions)
    for name, function in functions.items():
        np.testing.assert_allclose(scores[name], function(statistics), atol=1e-6)


def test_a_checkpoint_of_another_model_is_refused_naming_everything(tmp_path):
    member = make(tmp_path, build_mlp, 1, "m")[0]
    other = Member(name="x", checkpoint=member.checkpoint, build=lambda: nn.Sequential(nn.Linear(64, 5)))
    with pytest.raises(InputError, match=r"member 'x' .*0.weight is missing.*3.bias is not in the model"):
        other.load()
    wide = Member(
        name="w",
        checkpoint=member.checkpoint,
        build=lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, 3)),
    )
    with pytest.raises(InputError, match=r"1.weight has the shape \(5, 64\) and the model's has \(6, 64\)"):
        wide.load()


def test_bad_checkpoints_and_ensembles_are_refused(tmp_path):
    member = make(tmp_path, build_mlp, 1, "m")[0]
    with pytest.raises(InputError, match="the checkpoint does not exist"):
        Member(name="x", checkpoint=tmp_path / "none", build=build_mlp).load()
    (tmp_path / "cut").write_bytes(member.checkpoint.read_bytes()[:-8])
    with pytest.raises(DamagedError, match="cannot be read"):
        Member(name="x", checkpoint=tmp_path / "cut", build=build_mlp).load()
    with pytest.raises(InputError, match="different names"):
        list(predict_members([member, member], Images()))
    with pytest.raises(InputError, match="at least one member"):
        list(predict_members([], Images()))
    with pytest.raises(InputError, match="must return a torch module; got 'int'"):
        Member(name="x", checkpoint=member.checkpoint, build=lambda: 3).load()  # type: ignore[return-value]


def test_members_with_different_classes_are_refused(tmp_path):
    three = make(tmp_path, build_mlp, 1, "a")
    four = make(tmp_path, lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), 1, "b")
    with pytest.raises(
        InputError, match=r"member 'b0': members must agree.*'a0' gives \(11, 3\); got \(11, 4\)"
    ):
        list(predict_members(three + four, Images()))


@pytest.mark.parametrize(
    ("labelled", "multilabel", "seen"), [(True, False, 3), (False, False, 0), (True, True, 0)]
)
def test_targets_are_looked_at_only_where_they_may_be_and_mean_classes(tmp_path, labelled, multilabel, seen):
    members = make(tmp_path, build_mlp, 3, "m")
    statistics = EnsembleStatistics(11, 3, multilabel=multilabel)
    score_members(members, Images(), statistics, labelled=labelled)
    assert statistics.members.tolist() == [3] * 11
    assert statistics.targeted.tolist() == [seen] * 11
