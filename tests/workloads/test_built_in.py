"""The built-in workloads: on digits, on small files in the form of the real ones, and on the real ones."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from headrace import random
from headrace.errors import InputError
from headrace.training.data import TensorData
from headrace.workloads import NAMES, Splits, Workload, load_workload
from headrace.workloads.cifar10 import cifar10_splits
from headrace.workloads.locations import CIFAR_BINARY
from headrace.workloads.mnist import mnist_splits
from headrace.workloads.movie_reviews import mr_splits, read_sentences
from headrace.workloads.tokens import UNKNOWN, build_vocabulary, tokenize

from .made import write_idx, write_mnist

Folder = Callable[[str], Path]


def validation_error(workload: Workload, model: torch.nn.Module) -> float:
    with torch.no_grad():
        inputs, targets = workload.validation.fetch(torch.arange(len(workload.validation)))
        return float(workload.metric(model.eval()(inputs), targets).mean())


def train(workload: Workload, steps: int, learning_rate: float, batch: int = 64) -> float:
    """Validation error after some steps of momentum SGD; uniform draws on named streams."""
    with random.torch_stream(0, "test", "init"):
        model = workload.build_model()
        optimizer = torch.optim.SGD(model.parameters(), learning_rate, momentum=0.9)
        draws = random.generator(0, "test", "draws").integers(len(workload.train), size=(steps, batch))
        for indices in torch.from_numpy(draws):
            inputs, targets = workload.train.fetch(indices)
            optimizer.zero_grad()
            workload.loss(model(inputs), targets).mean().backward()
            optimizer.step()
    return validation_error(workload, model)


def rows(splits: Splits) -> list[bytes]:
    """Every example's content, over all splits."""
    parts = [splits.train, splits.validation, *([splits.test] if splits.test else [])]
    return [row.numpy().tobytes() for part in parts for row in part.inputs]


@pytest.mark.parametrize("name", ["digits-logistic", "digits-mlp"])
def test_the_goal_on_digits_is_reachable_and_not_met_untrained(name: str) -> None:
    workload = load_workload(name)
    with random.torch_stream(0, "fresh"):
        assert validation_error(workload, workload.build_model()) > 0.5
    assert train(workload, 400, 0.1) < workload.goal


def test_digits_are_split_disjointly_and_wholly() -> None:
    from sklearn.datasets import load_digits

    from headrace.workloads.digits import digits_splits

    splits = digits_splits()
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1197, 300, 300)
    whole = (load_digits().data / 16).astype(np.float32)
    assert sorted(rows(splits)) == sorted(row.tobytes() for row in whole)
    assert splits.validation.targets.bincount().tolist() == pytest.approx([30] * 10, abs=2)


def test_mnist_files_become_splits_with_their_own_labels(no_data: Path) -> None:
    write_mnist(no_data / "mnist")
    splits = mnist_splits("mnist")
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (100, 5_000, 50)
    assert len(set(rows(splits))) == 5_150
    for part in (splits.train, splits.validation, splits.test):
        assert torch.equal((part.inputs[:, 0, 0, 0] * 255).round().long(), part.targets)
        assert 0 <= float(part.inputs.min()) <= float(part.inputs.max()) <= 1


def test_the_workloads_on_mnist_files(no_data: Path) -> None:
    write_mnist(no_data / "mnist")
    write_mnist(no_data / "fashion-mnist")
    names = [name for name in NAMES if "mnist" in name]
    assert len(names) == 8
    for name in names:
        workload = load_workload(name)
        assert workload.name == name
        inputs, _ = workload.train.fetch(torch.tensor([3, 1]))
        assert workload.build_model()(inputs).shape == (2, 10)
    deep = load_workload("fashion-mnist-fc", {"hidden": [8, 4]}).build_model()
    assert sum(p.numel() for p in deep.parameters()) == 785 * 8 + 9 * 4 + 5 * 10


def test_goals_of_the_published_workloads(no_data: Path) -> None:
    write_mnist(no_data / "mnist")
    write_mnist(no_data / "fashion-mnist")
    assert load_workload("mnist-simple-cnn").goal == 0.01
    assert load_workload("fashion-mnist-simple-cnn").goal == 0.10


def test_idx_files_that_do_not_fit_are_named(no_data: Path) -> None:
    write_mnist(no_data / "mnist", train=20, test=10)
    write_idx(no_data / "mnist" / "train-labels-idx1-ubyte.gz", np.zeros(19, dtype=np.uint8))
    with pytest.raises(InputError, match=r"train-labels-idx1-ubyte\.gz: 20 labels are needed; got 19"):
        load_workload("mnist-fc")
    write_idx(no_data / "mnist" / "train-labels-idx1-ubyte.gz", np.zeros((20, 1), dtype=np.uint8))
    with pytest.raises(InputError, match=r"bytes along 1 axes are needed"):
        load_workload("mnist-fc")


@pytest.mark.parametrize("name", ["mnist-fc", "cifar10-resnet8", "mr-cnn"])
def test_a_missing_data_set_says_how_to_get_it(no_data: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"is missing; looked for in .* How to get it"):
        load_workload(name)


def test_cifar_files_become_splits_with_their_own_labels(no_data: Path) -> None:
    folder = no_data / "cifar-10-batches-bin"
    folder.mkdir()
    rng = random.generator(0, "made", "cifar")
    for name in CIFAR_BINARY:
        records = rng.integers(0, 256, (1_010, 3073), dtype=np.uint8)
        records[:, 0] = records[:, 1] = np.arange(1_010) % 10
        records.tofile(folder / name)
    splits = cifar10_splits()
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (50, 5_000, 1_010)
    assert len(set(rows(splits))) == 6_060
    assert torch.equal(splits.train.inputs[:, 0, 0, 0].long(), splits.train.targets)
    workload = load_workload("cifar10-resnet8", {"label_noise": 0.5})
    inputs, _ = workload.train.fetch(torch.tensor([0, 1]))
    assert workload.build_model()(inputs).shape == (2, 10)
    assert isinstance(workload.train, TensorData)
    assert workload.clean_targets is not None
    assert int((workload.train.targets != workload.clean_targets).sum()) == 25


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It's good , isn't it ?", ["it", "'s", "good", ",", "is", "n't", "it", "?"]),
        ("caf\xe9-bar...", ["caf\xe9", "-", "bar", ".", ".", "."]),
        ("they're won't", ["they", "'re", "wo", "n't"]),
        ("  ", []),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


def test_a_vocabulary_counts_and_knows_what_it_was_given_only() -> None:
    vocabulary = build_vocabulary([["b", "a", "c"], ["b", "a"], ["b"]], minimum_count=2)
    assert vocabulary.numbers == {"b": 2, "a": 3}
    assert len(vocabulary) == 4
    assert vocabulary.encode([["a", "x", "b"], ["a"]], 2).tolist() == [[3, UNKNOWN], [3, 0]]


def write_reviews(folder: Path) -> None:
    folder.mkdir()
    lines = [f"{n % 2} {'good' if n % 2 else 'bad'} film caf\xe9 word{n} " for n in range(100)]
    (folder / "rt-polarity.all.txt.gz").write_bytes(gzip.compress("\n".join(lines).encode("latin-1")))


def test_reviews_are_encoded_by_the_training_words_only(no_data: Path) -> None:
    write_reviews(no_data / "mr")
    splits, vocabulary = mr_splits(no_data / "mr" / "rt-polarity.all.txt.gz")
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (80, 10, 10)
    # good, bad, film, café and the 80 words of the training sentences.
    assert len(vocabulary) == 2 + 4 + 80
    for part in (splits.train, splits.validation, splits.test):
        first = torch.where(part.targets == 1, vocabulary.numbers["good"], vocabulary.numbers["bad"])
        assert torch.equal(part.inputs[:, 0], first)
    assert (splits.validation.inputs[:, 3] == UNKNOWN).all()
    assert (splits.train.inputs[:, 3] != UNKNOWN).all()
    assert load_workload("mr-cnn", {"embedding": 4, "filters": 3}).classes == ("negative", "positive")


def test_a_line_without_a_label_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mr.txt"
    path.write_text("1 fine\n\nbad line\n")
    with pytest.raises(InputError, match=r"mr\.txt, line 3: a line must be .* got 'bad line'"):
        read_sentences(path)


@pytest.mark.data
@pytest.mark.parametrize("data", ["mnist", "fashion-mnist"])
def test_the_real_images_are_split_as_documented_and_learnt(real_data: Folder, data: str) -> None:
    real_data(data)
    workload = load_workload(f"{data}-fc")
    assert workload.test is not None
    assert (len(workload.train), len(workload.validation), len(workload.test)) == (55_000, 5_000, 10_000)
    assert train(workload, 300, 0.05) < 0.25


@pytest.mark.data
def test_the_real_reviews_are_split_as_documented(real_data: Folder) -> None:
    real_data("mr")
    workload = load_workload("mr-cnn")
    assert workload.test is not None
    assert (len(workload.train), len(workload.validation), len(workload.test)) == (8_530, 1_066, 1_066)
    assert isinstance(workload.train, TensorData)
    assert workload.train.targets.bincount().tolist() == pytest.approx([4_265, 4_265], abs=1)


@pytest.mark.data
def test_the_real_cifar_is_split_as_documented(real_data: Folder) -> None:
    splits = cifar10_splits(real_data("cifar-10"))
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (45_000, 5_000, 10_000)
    assert splits.validation.targets.bincount().tolist() == [500] * 10


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
def test_sentences_in_the_encodings_that_copies_have(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "mr.txt"
    path.write_bytes("0 caf\u00e9 noir\r\n\r\n1 tr\u00e8s bien\r\n".encode(encoding))
    sentences, labels = read_sentences(path)
    assert [sentence.strip() for sentence in sentences] == ["caf\u00e9 noir", "tr\u00e8s bien"]
    assert labels == [0, 1]


def test_sentences_in_utf_16_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mr.txt").write_bytes("0 a film".encode("utf-16"))
    with pytest.raises(InputError, match=r"UTF-16. Save it as UTF-8"):
        read_sentences(tmp_path / "mr.txt")
