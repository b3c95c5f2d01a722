"""The package as it is installed: a wheel that holds all that it needs and runs from an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command: str, cwd: Path, **around: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-P", *command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": "", **around},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder), cwd=ROOT)
    assert len(list(folder.glob("*.tar.gz"))) == 1
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel):
    here = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src/headrace").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert inside == here
    assert "headrace/py.typed" in inside


def test_the_citation_names_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()


def installed(wheel: Path, folder: Path) -> dict[str, str]:
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return {"PYTHONPATH": str(folder / "site")}


def test_the_wheel_runs_from_an_empty_folder(wheel, tmp_path):
    around = installed(wheel, tmp_path)
    where = run("-c", "import headrace; print(headrace.__file__)", cwd=tmp_path, **around)
    assert where.startswith(str(tmp_path / "site"))
    assert "headrace demo" in run("-m", "headrace", "--help", cwd=tmp_path, **around)


@pytest.mark.slow
def test_the_demo_of_the_wheel(wheel, tmp_path):
    told = run(
        "-m", "headrace", "demo", "--out", "demo", "--json", cwd=tmp_path, **installed(wheel, tmp_path)
    )
    results = json.loads(told)
    assert results["finished"]
    assert [line["kind"] for line in results["grid"]["lines"]].count("use") == 3
    assert (tmp_path / "demo/subsets/half/report.html").is_file()
    assert (tmp_path / "demo/report.html").stat().st_size > 10_000
