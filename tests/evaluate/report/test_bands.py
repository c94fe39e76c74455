import xml.etree.ElementTree as ET

from crossaisle.evaluate.report.bands import Line, curve_svg


def test_points_rise_with_their_values_and_names_are_escaped():
    line = Line("a < b", [(0, 0.2, 0.1, 0.3), (10, 0.4, 0.3, 0.5), (100, 0.8, 0.7, 0.9)])
    tree = ET.fromstring(curve_svg([line], title="A & B", x="events", y="share"))
    circles = [e for e in tree.iter() if e.tag.endswith("circle")]
    heights, places = [float(c.get("cy")) for c in circles], [float(c.get("cx")) for c in circles]
    assert heights == sorted(heights, reverse=True)
    assert places[1] - places[0] == places[2] - places[1]
    assert "a < b" in {e.text for e in tree.iter()}


def test_nothing_to_draw_is_an_empty_chart():
    assert ET.fromstring(curve_svg([], title="none", x="x", y="y")) is not None
