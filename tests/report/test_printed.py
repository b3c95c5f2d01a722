"""Figures for print: the width asked for, no text below 7 pt, the numbers of the report."""

from __future__ import annotations

import re
from io import BytesIO

import pytest
from PIL import Image
from pypdf import PdfReader

from headrace.cli.app import execute
from headrace.errors import InputError
from headrace.report.printed import layout_for, points_of

WIDTHS = {"3.3in": 237.6, "84mm": 238.11, "6.75in": 486.0, "12 cm": 340.16, "240pt": 240.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    from experiments.conftest import CONTENT, merged
    from headrace.analysis.results import analyse
    from headrace.experiments.runner import run
    from headrace.report import write_report
    from headrace.specs.experiment import Experiment

    made = tmp_path_factory.mktemp("printed") / "run"
    digits = {"workload": {"name": "digits-logistic"}, "grid.batch_size": [16, 64, 256], "search.trials": 2}
    experiment = Experiment.from_dict(merged(CONTENT, digits))
    write_report(analyse(run(experiment, made, engine="inline")), made)
    return made


@pytest.mark.parametrize("width", WIDTHS)
def test_a_figure_has_the_width_asked_for_and_text_that_can_be_read(folder, width, tmp_path) -> None:
    points = WIDTHS[width]
    assert points_of(width) == pytest.approx(points, abs=0.01)
    assert 12 * points / layout_for(points).width >= 7
    for form in ("pdf", "svg", "png"):
        out = tmp_path / f"made.{form}"
        asked = ["figure", str(folder), "scaling", "--format", form, "--width", width, "--out", str(out)]
        assert execute(asked) == 0
        content = out.read_bytes()
        if form == "pdf":
            page = PdfReader(BytesIO(content)).pages[0]
            assert float(page.mediabox.width) == pytest.approx(points, abs=0.5)
            assert "batch size" in page.extract_text()
        elif form == "svg":
            found = re.search(rb'<svg[^>]*? width="([\d.]+)pt"', content)
            assert found
            assert float(found[1]) == pytest.approx(points, abs=0.5)
        else:
            picture = Image.open(BytesIO(content))
            assert picture.width == pytest.approx(points / 72 * 300, abs=2)
            assert picture.info["dpi"] == pytest.approx((300, 300), abs=1)
        assert out.with_suffix(".csv").read_bytes() == (folder / "figures" / "scaling.csv").read_bytes()
        again = tmp_path / f"again.{form}"
        assert execute([*asked[:-1], str(again)]) == 0
        assert again.read_bytes() == content


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("scalin",), "Did you mean 'scaling'?"),
        (("scaling", "--width", "2in"), "no figure can be drawn at this width"),
        (("scaling", "--width", "99in"), "no figure can be drawn at this width"),
        (("scaling", "--width", "3.3"), "must be a number with a unit"),
        (("scaling", "--width", "nan in"), "must be a number with a unit"),
        (("scaling", "--format", "eps"), "unknown format"),
        (("noise-scale",), "NAME"),
        (("scaling", "--out", "made.csv"), "is where the figure's data are written"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(folder, changes, said, capsys) -> None:
    before = sorted(folder.rglob("*"))
    assert execute(["figure", str(folder), *changes]) == 2
    assert said in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_widths_end_where_text_can_no_longer_be_read() -> None:
    assert points_of("2.7in") == pytest.approx(194.4)
    with pytest.raises(InputError, match=r"from 2\.7in to 40in"):
        points_of("2.6in")
