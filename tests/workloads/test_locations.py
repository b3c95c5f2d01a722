from __future__ import annotations

import gzip
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headrace.errors import InputError
from headrace.workloads import locations
from headrace.workloads.locations import DATA_SETS, IDX_FILES, find, places, require
from headrace.workloads.survey import survey

from .made import write_mnist


@pytest.fixture(autouse=True)
def no_system_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Debian's folder, were it here, would be found."""
    fashion = DATA_SETS["fashion-mnist"]
    assert fashion.system == ("/usr/share/datasets/fashion-mnist",)
    monkeypatch.setitem(DATA_SETS, "fashion-mnist", replace(fashion, system=(str(tmp_path / "system"),)))


def test_places_are_in_order(no_data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "headrace"
    assert places("fashion-mnist") == (
        no_data / "fashion-mnist",
        no_data / "FashionMNIST/raw",
        no_data / "fashion-mnist/raw",
        cache / "fashion-mnist",
        cache / "FashionMNIST/raw",
        cache / "fashion-mnist/raw",
        tmp_path / "system",
    )


def test_without_the_variable_the_cache_comes_first(
    no_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADRACE_DATA")
    assert places("mnist")[0] == tmp_path / "cache" / "headrace" / "mnist"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert places("mnist")[0] == tmp_path / "home" / ".cache" / "headrace" / "mnist"


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_the_first_complete_folder_is_found(no_data: Path, tmp_path: Path, ending: str) -> None:
    assert find("mnist") is None
    in_cache = tmp_path / "cache" / "headrace" / "MNIST" / "raw"
    write_mnist(in_cache, train=10, test=10, ending=ending)
    assert find("mnist") == in_cache
    incomplete = no_data / "mnist"
    write_mnist(incomplete, train=10, test=10, ending=ending)
    (incomplete / (IDX_FILES[3] + ending)).unlink()
    assert find("mnist") == in_cache
    write_mnist(incomplete, train=10, test=10, ending=ending)
    assert find("mnist") == incomplete


def test_a_missing_set_names_every_place_and_how_to_get_it(no_data: Path) -> None:
    with pytest.raises(InputError, match="the data set 'fashion-mnist' is missing") as caught:
        require("fashion-mnist")
    text = str(caught.value)
    assert all(str(place) in text for place in places("fashion-mnist"))
    assert "apt-get install dataset-fashion-mnist" in text
    assert "HEADRACE_DATA" in text


def test_survey_tells_of_each_set(no_data: Path) -> None:
    write_mnist(no_data / "mnist", train=10, test=10)
    found = {place.name: place for place in survey()}
    assert set(found) == {"mnist", "fashion-mnist", "cifar-10", "mr", "shakespeare"}
    assert found["mnist"].path == str(no_data / "mnist")
    assert found["mnist"].verdict == "found"
    assert found["mnist"].sound is None
    assert found["mr"].path is None
    assert found["mr"].verdict == "missing"
    assert found["cifar-10"].to_dict()["how_to_get"] == DATA_SETS["cifar-10"].how_to_get


def test_check_holds_uncompressed_files_against_their_checksums(
    no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (no_data / "mr").mkdir()
    (no_data / "mr" / "rt-polarity.all.txt.gz").write_bytes(gzip.compress(b"abc"))
    state = {place.name: place for place in survey(check=True)}["mr"]
    assert state.sound is False
    assert "MD5 900150983cd24fb0d6963f7d28e17f72, not" in state.verdict
    right = replace(DATA_SETS["mr"], md5={"rt-polarity.all.txt": "900150983cd24fb0d6963f7d28e17f72"})
    monkeypatch.setitem(DATA_SETS, "mr", right)
    state = {place.name: place for place in survey(check=True)}["mr"]
    assert state.sound is True
    assert state.verdict == "1 of 1 checksums are right"
    (no_data / "mr" / "rt-polarity.all.txt.gz").write_bytes(gzip.compress(b"abc")[:-4])
    state = {place.name: place for place in survey(check=True)}["mr"]
    assert state.sound is False
    assert "cannot be read" in state.verdict


def test_check_of_cifar_reads_all_of_it(no_data: Path) -> None:
    folder = no_data / "cifar-10-batches-bin"
    folder.mkdir()
    for number, name in enumerate(locations.CIFAR_BINARY):
        np.full((2, 3073), number, dtype=np.uint8).tofile(folder / name)
    state = {place.name: place for place in survey(check=True)}["cifar-10"]
    assert state.sound is True
    assert "12 examples" in state.verdict
    (folder / "test_batch.bin").write_bytes(b"short")
    state = {place.name: place for place in survey(check=True)}["cifar-10"]
    assert state.sound is False
    assert "test_batch.bin" in state.verdict


def test_locations_and_registry_import_no_torch() -> None:
    code = (
        "import sys, headrace.workloads.survey as l, headrace.workloads.registry as r; "
        "l.survey(); r.check_spec('mnist-fc'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("given", [None, "~somebody/data"])
def test_a_user_without_a_home_has_fewer_places(given: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> object:
        raise KeyError("uid not found")

    for name in ("HOME", "XDG_CACHE_HOME", "HEADRACE_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("pwd.getpwnam", unknown)
    if given is not None:
        monkeypatch.setenv("HEADRACE_DATA", given)
    assert locations.roots() == ()
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert locations.roots() == (Path("/cache/headrace"),)
