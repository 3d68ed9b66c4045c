"""What holds for every detector that judges each series by its own samples, judged point after point or at once."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediation import registry
from remediation.detect.base import Detector, Verdicts
from remediation.detect.stream import Judged, WindowStream, stream_of
from remediation.registry import Params
from remediation.series import Matrix
from remediation.states import Code

from .matrices import matrices, matrix

ABOUT_ALL = {"absent", "firing_alert", "expression", "peer"}
"""Judge alerts, absence, or one series by the others: see their own tests."""
SETTINGS: dict[str, dict[str, Any]] = {
    "threshold": {"op": ">", "value": 1.5},
    "zscore": {"window_s": 300, "step_s": 15, "minimum_points": 3, "skip_s": 30},
    "adaptive": {"warm_up_points": 24},
    "ewma": {"window_s": 300, "minimum_points": 3, "skip_s": 30},
    "seasonal": {"minimum_days": 2},
    "change_point": {"recent_s": 90, "window_s": 400, "step_s": 15, "minimum_points": 3},
    "exhaustion": {"window_s": 400, "step_s": 15, "minimum_points": 4},
    "rate_of_change": {"window_s": 200, "step_s": 15},
    "flatline": {"for_s": 120, "step_s": 15},
}
"""Short enough for the series drawn here; a detector that is not named takes its defaults."""
LEARN = {"zscore", "adaptive", "ewma", "change_point", "rate_of_change"}
"""Cannot tell at the first point, and never find a series odd that is always the same."""


def parsed(name: str) -> tuple[Detector, Params]:
    detector = registry.detector(name)
    return detector, detector.parse(SETTINGS.get(name, {}))


each = pytest.mark.parametrize("name", sorted(set(registry.detectors()) - ABOUT_ALL))
each_that_learns = pytest.mark.parametrize("name", sorted(LEARN))
few = settings(max_examples=25, deadline=None)


def until(matrix: Matrix, points: int) -> Matrix:
    times = matrix.times[:points]
    return dataclasses.replace(matrix, times=times, values=matrix.values[:, :points], now=float(times[-1]))


def streamed(detector: Detector, params: Params, given: Matrix) -> list[Judged]:
    stream = stream_of(detector, params, len(given.labels))
    return [
        stream.update(np.full(len(given.labels), time), values)
        for time, values in zip(given.times, given.values.T, strict=True)
    ]


def assert_same(found: Judged | Verdicts, other: Judged | Verdicts) -> None:
    for part in ("codes", "scores", "lower", "upper"):
        np.testing.assert_array_equal(getattr(found, part), getattr(other, part), err_msg=part)


@each
@few
@given(given_matrix=matrices(most_points=60))
def test_streaming_says_what_judging_each_prefix_says(name: str, given_matrix: Matrix) -> None:
    """So no verdict depends on what came later."""
    detector, params = parsed(name)
    for points, found in enumerate(streamed(detector, params, given_matrix), start=1):
        assert_same(found, detector.judge(until(given_matrix, points), params))


@each
@few
@given(given_matrix=matrices(most_points=60))
def test_the_band_is_what_was_expected_at_each_point(name: str, given_matrix: Matrix) -> None:
    detector, params = parsed(name)
    found = streamed(detector, params, given_matrix)
    band = detector.band(given_matrix, params)
    if len(given_matrix.labels):
        np.testing.assert_array_equal(band.lower, np.stack([point.lower for point in found], axis=1))
        np.testing.assert_array_equal(band.upper, np.stack([point.upper for point in found], axis=1))


@each
@few
@given(given_matrix=matrices(most_points=60))
def test_verdicts_are_complete_and_plain(name: str, given_matrix: Matrix) -> None:
    detector, params = parsed(name)
    found = detector.judge(given_matrix, params)
    known = found.codes != Code.UNKNOWN
    assert found.labels == given_matrix.labels
    assert len(found.reasons) == len(given_matrix.labels)
    assert all(reason and "\n" not in reason and "nan" not in reason for reason in found.reasons)
    assert np.all(np.isfinite(found.scores[known])) and np.all(found.scores[known] >= 0)
    assert np.all(np.isnan(found.scores[~known]))
    assert np.all(found.scores[found.codes == Code.BAD] >= 1)
    assert np.all(found.scores[found.codes == Code.OK] <= 1)
    assert np.all(~known[np.isnan(given_matrix.values[:, -1])])


@each
@few
@given(given_matrix=matrices(most_points=60), data=st.data())
def test_series_do_not_touch_each_other(name: str, given_matrix: Matrix, data: st.DataObject) -> None:
    detector, params = parsed(name)
    order = data.draw(st.permutations(range(len(given_matrix.labels))))
    chosen = list(order)[: data.draw(st.integers(0, len(order)))]
    labels = tuple(given_matrix.labels[row] for row in chosen)
    part = dataclasses.replace(given_matrix, labels=labels, values=given_matrix.values[chosen])
    whole, found = detector.judge(given_matrix, params), detector.judge(part, params)
    np.testing.assert_array_equal(found.codes, whole.codes[chosen])
    # To the last bit but one: how many rows there are decides which instructions numpy takes.
    np.testing.assert_allclose(found.scores, whole.scores[chosen], rtol=1e-12)
    assert found.reasons == tuple(whole.reasons[row] for row in chosen)


@each
@few
@given(given_matrix=matrices(most_points=50), data=st.data())
def test_repeated_and_late_points_are_unknown_and_not_learnt(
    name: str, given_matrix: Matrix, data: st.DataObject
) -> None:
    detector, params = parsed(name)
    count = len(given_matrix.labels)
    stream = stream_of(detector, params, count)
    for at, clean in enumerate(streamed(detector, params, given_matrix)):
        time, values = given_matrix.times[at], given_matrix.values[:, at]
        assert_same(stream.update(np.full(count, time), values), clean)
        if data.draw(st.booleans()) and np.all(np.isfinite(values)):
            late = stream.update(np.full(count, time - data.draw(st.sampled_from([0.0, 1.0]))), values + 1)
            assert np.all(late.codes == Code.UNKNOWN)


@each_that_learns
@pytest.mark.parametrize("value", [0.0, 1.0, -7.5, 1e12])
def test_what_never_changes_is_never_bad(name: str, value: float) -> None:
    detector, params = parsed(name)
    found = streamed(detector, params, matrix([[value] * 200]))
    assert found[0].codes[0] == Code.UNKNOWN
    assert not any(point.codes[0] == Code.BAD for point in found)
    assert found[-1].codes[0] == Code.OK


@each
@pytest.mark.parametrize("empty", [Matrix(now=0.0), Matrix(now=0.0, times=np.array([0.0]), values=np.empty((0, 1)))])
def test_no_series_is_no_verdict(name: str, empty: Matrix) -> None:
    detector, params = parsed(name)
    found = detector.judge(empty, params)
    assert (found.labels, found.reasons, len(found.codes)) == ((), (), 0)
    assert detector.band(empty, params).lower.shape == empty.values.shape


@pytest.mark.parametrize("name", sorted(registry.detectors()))
def test_every_detector_and_parameter_explains_itself(name: str) -> None:
    detector = registry.detector(name)
    assert "Use it " in detector.help() or "From: " in detector.help()
    assert all(field.title and field.description for field in detector.Params.model_fields.values())


def test_a_window_stream_keeps_no_more_than_the_window() -> None:
    detector, params = parsed("zscore")
    stream = WindowStream(detector, params, 1)
    for at in range(5000):
        stream.update(np.array([15.0 * at]), np.array([float(at)]))
    assert stream._times.size <= 1024
