"""Names of configurations, short and long, are whole within the figure's frame."""

from __future__ import annotations

import pytest
from matplotlib.text import Text

from headrace.report.canvas import NARROW, WIDE, Layout
from headrace.report.figures.grid_ends import Row, draw
from headrace.report.style import styled


@pytest.mark.parametrize("layout", [WIDE, NARROW], ids=lambda layout: layout.name)
@pytest.mark.parametrize(
    "name", ["focal", "policy weight-prediction-variance, subset random:0.5", "subset " + 12 * "runs/search/"]
)
def test_names_of_configurations_are_not_cut_off(layout: Layout, name: str) -> None:
    found = [Row(label=label, critical=(40, 20, 80), fewest=(90, 80, 99)) for label in ("all", name)]
    with styled("ends"):
        figure = draw(found, layout)
        figure.canvas.draw()
        texts = [text for text in figure.findobj(Text) if text.get_text()]
        assert len(texts) > len(found)
        for text in texts:
            box = text.get_window_extent()
            assert -1 <= box.x0 < box.x1 <= figure.bbox.width + 1, text
