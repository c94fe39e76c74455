"""The picture of curves is well-formed, keeps its numbers apart and points out what it is told to."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from crossaisle.evaluate.report.curves import Curve, curves

SVG = "{http://www.w3.org/2000/svg}"


def test_a_panel_per_curve_with_its_mark() -> None:
    picture = ElementTree.fromstring(
        curves([Curve("a < b", [(1, 2.0), (2, 1.0)]), Curve("c", [(1, 0.1), (5, 0.3), (9, 0.2)], mark=5)])
    )
    lines = [line.attrib["points"].split() for line in picture.iter(f"{SVG}polyline")]
    assert [len(points) for points in lines] == [2, 3]
    x, y = zip(*((float(v) for v in point.split(",")) for point in lines[1]), strict=True)
    assert list(x) == sorted(x)
    assert y[1] < y[2] < y[0]  # 0.3 highest, so nearest to the top
    [dot] = picture.iter(f"{SVG}circle")
    assert (float(dot.attrib["cx"]), float(dot.attrib["cy"])) == (x[1], y[1])


def test_nothing_one_point_and_no_numbers() -> None:
    picture = curves([Curve("none", []), Curve("one", [(3, 1.0)]), Curve("nan", [(1, math.nan), (2, 1.0)])])
    root = ElementTree.fromstring(picture)
    assert "nothing measured" in picture
    assert "nan," not in picture
    assert len(list(root.iter(f"{SVG}circle"))) == 2
