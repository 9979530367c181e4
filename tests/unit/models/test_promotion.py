from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from airflow_wall.errors import ModelError
from airflow_wall.models.metric_names import KINDS
from airflow_wall.models.promotion import Rule, decide, read_rule


@pytest.mark.parametrize(
    ("promote", "rule"),
    [
        (None, Rule()),
        ({"metric": "rmse", "lower_is_better": True, "margin": "1%"}, Rule("rmse", 0.01, True)),
        ({"metric": "r2", "margin": 0.05}, Rule("r2", 0.05, False)),
        ({"margin": "2.5 %"}, Rule(None, 0.025, True)),
        ({"metric": "roc_auc"}, Rule("auc")),
        ({"metric": "auc", "lower_is_better": True}, Rule("auc")),  # an older airflow-wall wrote this default
        ({"metric": "neg_root_mean_squared_error", "max_loss": 3}, Rule("rmse", max_loss=3.0, relative_loss=False)),
    ],
)
def test_a_rule_is_read(promote, rule):
    assert read_rule(promote) == rule


@pytest.mark.parametrize(
    ("promote", "message"),
    [
        (
            {"metrik": "rmse"},
            "`promote` has no key `metrik`\n\nhint: did you mean `metric`?",
        ),
        (
            {"metric": "acuracy"},
            f"`promote.metric` must be one of {', '.join(f'`{name}`' for name in KINDS)}, got `acuracy`\n\n"
            "hint: did you mean `accuracy`?",
        ),
        (
            {"margin": "one"},
            '`promote.margin` must be a number from 0 or a percentage, got `one`\n\nhint: write, e.g., "1%" or 0.05',
        ),
        (
            {"margin": -1},
            '`promote.margin` must be a number from 0 or a percentage, got `-1`\n\nhint: write, e.g., "1%" or 0.05',
        ),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(promote, message):
    with pytest.raises(ModelError) as caught:
        read_rule(promote)
    assert str(caught.value) == message


def test_a_metric_of_another_kind_of_model_is_refused():
    with pytest.raises(ModelError) as caught:
        Rule("auc").metric_for(SimpleNamespace(kind="regression", has_probabilities=True, parts=()))
    assert str(caught.value) == (
        "`promote.metric` must be a metric of a regressor, got `auc`\n\nhint: write one of `rmse`, `mae`, `r2`, `rmsle`, "
        "`mape`, `median_absolute_error`, `max_error`, `explained_variance`"
    )


@pytest.mark.parametrize(
    ("metric", "rule", "value", "champion_value", "promoted", "reason"),
    [
        ("rmse", Rule(), 9.0, 10.0, True, "rmse 9 against 10 of version 4: better by 1"),
        ("rmse", Rule(), 10.0, 10.0, False, "rmse 10 against 10 of version 4: equal"),
        ("rmse", Rule(), 11.0, 10.0, False, "rmse 11 against 10 of version 4: worse"),
        (
            "rmse",
            Rule(margin=0.01, relative=True),
            9.95,
            10.0,
            False,
            "rmse 9.95 against 10 of version 4: better by 0.05, less than the margin of 0.1",
        ),
        ("rmse", Rule(margin=0.01, relative=True), 9.8, 10.0, True, "rmse 9.8 against 10 of version 4: better by 0.2"),
        ("r2", Rule(margin=0.1), 0.5, 0.3, True, "r2 0.5 against 0.3 of version 4: better by 0.2"),
        ("r2", Rule(), 0.2, 0.3, False, "r2 0.2 against 0.3 of version 4: worse"),
        ("r2", Rule(margin=0.5, relative=True), -0.1, -0.4, True, "r2 -0.1 against -0.4 of version 4: better by 0.3"),
    ],
)
def test_a_challenger_is_promoted_only_if_better_by_the_margin(metric, rule, value, champion_value, promoted, reason):
    found = decide(metric, rule, value, champion=4, champion_value=champion_value, baseline=0.0)
    assert (found.promoted, found.reason) == (promoted, reason)


@pytest.mark.parametrize(
    ("metric", "value", "baseline", "promoted", "reason"),
    [
        (
            "rmse",
            5.0,
            6.0,
            True,
            "first model, rmse 5, no worse than predicting the mean of the training rows (rmse 6)",
        ),
        (
            "rmse",
            6.0,
            6.0,
            True,
            "first model, rmse 6, no worse than predicting the mean of the training rows (rmse 6)",
        ),
        (
            "rmse",
            7.0,
            6.0,
            False,
            "first model, rmse 7, is worse than predicting the mean of the training rows (rmse 6)",
        ),
        (
            "auc",
            0.4,
            0.5,
            False,
            "first model, auc 0.4, is worse than predicting the mean of the training rows (auc 0.5)",
        ),
    ],
)
def test_the_first_model_must_be_as_good_as_the_mean(metric, value, baseline, promoted, reason):
    found = decide(metric, Rule(), value, champion=None, champion_value=None, baseline=baseline)
    assert (found.promoted, found.reason) == (promoted, reason)


@pytest.mark.parametrize("champion_value", [None, math.nan])
@pytest.mark.parametrize(
    ("metric", "value", "baseline", "recorded", "promoted", "end"),
    [
        ("rmse", 999_999.0, 5.0, 2.0, False, "rmse 999999 against 5 of predicting the mean: not better"),
        ("rmse", 4.99, 5.0, 2.0, False, "better by 0.01, less than the margin of 0.05"),
        (
            "rmse",
            3.0,
            5.0,
            2.0,
            False,
            "recorded when the champion was trained: worse by 1, more than `max_loss` of 0.2",
        ),
        ("rmse", 2.1, 5.0, 2.0, True, "recorded when the champion was trained: within `max_loss` of 0.2"),
        ("rmse", 1.0, 5.0, 2.0, True, "recorded when the champion was trained: within `max_loss` of 0.2"),
        (
            "auc",
            0.7,
            0.5,
            0.9,
            False,
            "recorded when the champion was trained: worse by 0.2, more than `max_loss` of 0.09",
        ),
        ("auc", 0.85, 0.5, 0.9, True, "recorded when the champion was trained: within `max_loss` of 0.09"),
        ("auc", 0.6, 0.5, None, True, "auc 0.6 against 0.5 of predicting the mean: better by 0.1"),
    ],
)
def test_a_challenger_of_a_champion_that_cannot_score_must_beat_the_mean_and_hold_its_record(
    metric, value, baseline, recorded, promoted, end, champion_value
):
    rule = Rule(margin=0.01, relative=True)
    found = decide(metric, rule, value, champion=4, champion_value=champion_value, baseline=baseline, recorded=recorded)
    assert found.promoted is promoted
    assert found.reason.startswith("the champion, version 4, cannot score these rows: ")
    assert found.reason.endswith(end)
