"""What holds for every detector that judges each series by itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediation import registry
from remediation.detect.absent import Absent
from remediation.detect.base import Detector
from remediation.detect.firing_alert import FiringAlert
from remediation.detect.threshold import Threshold
from remediation.detect.zscore import Zscore
from remediation.series import Matrix
from remediation.states import Code

from .matrices import matrices

SHORT = {"window_s": 300, "step_s": 15, "minimum_points": 3, "skip_s": 30}
CASES: list[tuple[Detector, dict[str, Any]]] = [
    *[(Threshold(), {"op": op, "value": 1.5}) for op in (">", "<=", "==", "!=")],
    *[(Zscore(), SHORT | {"direction": direction}) for direction in ("high", "low", "both")],
    (Zscore(), SHORT | {"skip_s": 0, "minimum_effect": 2.0}),
    (FiringAlert(), {}),
]
each = pytest.mark.parametrize(("detector", "params"), CASES, ids=lambda item: str(getattr(item, "name", item)))

few = settings(max_examples=40, deadline=None)


def rows_of(matrix: Matrix, rows: list[int]) -> Matrix:
    labels = tuple(matrix.labels[row] for row in rows)
    return dataclasses.replace(matrix, labels=labels, values=matrix.values[rows])


def until(matrix: Matrix, points: int) -> Matrix:
    return dataclasses.replace(matrix, times=matrix.times[:points], values=matrix.values[:, :points])


def test_all_are_found_by_the_registry() -> None:
    assert {"threshold", "absent", "zscore", "firing_alert"} <= set(registry.detectors())


@pytest.mark.parametrize("detector", [Threshold(), Absent(), Zscore(), FiringAlert()], ids=lambda item: item.name)
def test_every_parameter_explains_itself(detector: Detector) -> None:
    assert detector.help()
    assert all(field.title and field.description for field in detector.Params.model_fields.values())


@each
@few
@given(matrix=matrices())
def test_verdicts_are_complete_and_plain(detector: Detector, params: dict[str, Any], matrix: Matrix) -> None:
    found = detector.judge(matrix, detector.parse(params))
    count = len(matrix.labels)
    arrays = (found.codes, found.values, found.scores, found.lower, found.upper, found.times)
    assert [array.shape for array in arrays] == [(count,)] * 6
    assert found.labels == matrix.labels
    assert all(reason and "\n" not in reason and "nan" not in reason for reason in found.reasons)
    known = found.codes != Code.UNKNOWN
    assert np.all(np.isfinite(found.scores[known])) and np.all(found.scores[known] >= 0)
    assert np.all(np.isnan(found.scores[~known]))


@each
@few
@given(matrix=matrices())
def test_no_sample_is_unknown(detector: Detector, params: dict[str, Any], matrix: Matrix) -> None:
    codes = detector.judge(matrix, detector.parse(params)).codes
    assert np.all(codes[np.isnan(matrix.values[:, -1])] == Code.UNKNOWN)


@each
@few
@given(matrix=matrices())
def test_score_passes_one_where_the_verdict_turns(detector: Detector, params: dict[str, Any], matrix: Matrix) -> None:
    found = detector.judge(matrix, detector.parse(params))
    assert np.all(found.scores[found.codes == Code.BAD] >= 1)
    assert np.all(found.scores[found.codes == Code.OK] <= 1)


@each
@few
@given(matrix=matrices(), points=st.integers(1, 40))
def test_later_points_change_nothing_before(
    detector: Detector, params: dict[str, Any], matrix: Matrix, points: int
) -> None:
    parsed = detector.parse(params)
    points = min(points, len(matrix.times))
    whole, part = detector.band(matrix, parsed), detector.band(until(matrix, points), parsed)
    np.testing.assert_array_equal(whole.lower[:, :points], part.lower)
    np.testing.assert_array_equal(whole.upper[:, :points], part.upper)


@each
@few
@given(matrix=matrices())
def test_judge_expects_what_the_band_shows_last(detector: Detector, params: dict[str, Any], matrix: Matrix) -> None:
    parsed = detector.parse(params)
    judged, band = detector.judge(matrix, parsed), detector.band(matrix, parsed)
    np.testing.assert_array_equal(judged.lower, band.lower[:, -1])
    np.testing.assert_array_equal(judged.upper, band.upper[:, -1])


@each
@few
@given(matrix=matrices(), data=st.data())
def test_the_order_of_series_does_not_matter(
    detector: Detector, params: dict[str, Any], matrix: Matrix, data: st.DataObject
) -> None:
    parsed = detector.parse(params)
    order = data.draw(st.permutations(range(len(matrix.labels))))
    whole, mixed = detector.judge(matrix, parsed), detector.judge(rows_of(matrix, list(order)), parsed)
    assert mixed.reasons == tuple(whole.reasons[row] for row in order)
    np.testing.assert_array_equal(mixed.codes, whole.codes[list(order)])
    np.testing.assert_array_equal(mixed.scores, whole.scores[list(order)])


@each
@pytest.mark.parametrize("matrix", [Matrix(now=0.0), Matrix(now=0.0, times=np.array([0.0]), values=np.empty((0, 1)))])
def test_no_series_is_no_verdict(detector: Detector, params: dict[str, Any], matrix: Matrix) -> None:
    found = detector.judge(matrix, detector.parse(params))
    assert (found.labels, found.reasons, len(found.codes)) == ((), (), 0)
    assert detector.band(matrix, detector.parse(params)).lower.shape == matrix.values.shape
