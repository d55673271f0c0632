"""Models of an evaluate stage compared in pairs: `gains` and `no_regression`."""

import random
from pathlib import Path
from statistics import fmean

import pyarrow
import pyarrow.parquet
import pytest
from r1trl_regress.paired import gains, no_regression, paired_gain

from r1trl import StageResult

SHARES = {"base": 0.8, "same": 0.8, "worse": 0.5, "better": 0.95}


def stage(folder: Path, shares: dict[str, float], problems: int = 200) -> StageResult:
    """Write rollouts in which each model solves a share of the problems; the hard ones are shared.

    On the benchmark `other` every model is as good as the first.
    """
    rows = []
    first = next(iter(shares.values()))
    for model, share in shares.items():
        for benchmark, solved in (("sums", share), ("other", first)):
            for problem in range(problems):
                for sample in range(2):
                    value = float(problem < solved * problems) if sample or problem else None
                    rows.append((model, benchmark, problem, value))
    names = ("model", "benchmark", "problem", "rewards/right")
    table = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    pyarrow.parquet.write_table(pyarrow.table(table), folder / "rollouts.parquet")
    return StageResult("scoreboard", "evaluate", folder, dataset=folder / "rollouts.parquet")


def test_gains_are_differences_from_the_first_model_with_an_interval(tmp_path: Path) -> None:
    result = stage(tmp_path, SHARES)
    metrics = gains(result, reward="right").metrics
    assert metrics["worse/sums/gain"] == pytest.approx(-0.3)
    assert metrics["better/sums/gain"] == pytest.approx(0.15)
    assert -0.38 < metrics["worse/sums/gain_low"] < -0.33
    assert -0.27 < metrics["worse/sums/gain_high"] < -0.22
    of_same = [metrics[f"same/sums/gain{end}"] for end in ("", "_low", "_high")]
    assert of_same == [0.0, 0.0, 0.0]  # on the same problems there is no noise
    assert metrics["worse/other/gain"] == 0 and not any(m.startswith("base/") for m in metrics)
    other = gains(result, reward="right", than="better").metrics
    assert other["base/sums/gain"] == pytest.approx(-0.15)
    assert gains(result, reward="right").metrics == metrics


def test_the_interval_holds_the_true_difference_nineteen_times_of_twenty() -> None:
    rng, held = random.Random(5), 0
    for trial in range(60):
        drawn = [rng.choice((1.0, 0.0, 0.0, -1.0)) for _ in range(80)]
        gain = paired_gain(drawn, trial)
        assert gain.low <= gain.mean <= gain.high and gain.mean == pytest.approx(fmean(drawn))
        held += gain.low <= 0.0 <= gain.high
    assert 53 <= held <= 60


def test_a_run_ends_with_the_model_that_lost(tmp_path: Path) -> None:
    result = stage(tmp_path, SHARES)
    stop = no_regression(result, reward="right").stop
    assert stop and stop.startswith("worse is 30.0 points under base on sums (95 %: -3")
    assert "same" not in stop and "better" not in stop and "other" not in stop
    assert no_regression(result, reward="right", model="better").stop is None
    assert no_regression(result, reward="right", margin=0.31).stop is None
    assert no_regression(result, reward="right", benchmarks=["other"]).stop is None
    against = no_regression(result, reward="right", model="same", than="better").stop
    assert against and "same is 15.0 points under better on sums" in against
    with pytest.raises(ValueError, match=r"worse is 30\.0 points under base"):
        no_regression(result, reward="right", on_regression="fail")


def test_a_loss_within_the_interval_is_none(tmp_path: Path) -> None:
    result = stage(tmp_path, {"base": 0.8, "unlucky": 0.75}, problems=20)
    assert gains(result, reward="right").metrics["unlucky/sums/gain"] == pytest.approx(-0.05)
    assert no_regression(result, reward="right").stop is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reward": "rigth"}, r"no reward 'rigth' \(did you mean 'right'\?\); it has: right"),
        ({"reward": "right", "than": "bse"}, r"no model 'bse' \(did you mean 'base'\?\)"),
        ({"reward": "right", "model": "r2"}, "no model 'r2'; it has: base, same"),
        ({"reward": "right", "benchmarks": ["sum"]}, r"no benchmark 'sum' \(did you mean 'sums'"),
        ({"reward": "right", "model": "base"}, "no model of the stage has problems in common"),
    ],
)
def test_what_cannot_be_compared_is_an_error(tmp_path: Path, options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        no_regression(stage(tmp_path, SHARES, problems=4), **options)


def test_a_stage_without_models_is_refused(tmp_path: Path) -> None:
    table = pyarrow.table({"problem": [0], "rewards/right": [1.0]})
    pyarrow.parquet.write_table(table, tmp_path / "rollouts.parquet")
    result = StageResult("s", "sample", tmp_path, dataset=tmp_path / "rollouts.parquet")
    with pytest.raises(ValueError, match="compares no models"):
        gains(result, reward="right")
    with pytest.raises(ValueError, match="has no rollouts"):
        gains(StageResult("s", "sft", tmp_path), reward="right")
