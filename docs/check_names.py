"""Names of our checks in other tools, for the reference. A new check needs no entry here."""

from __future__ import annotations

from collections.abc import Iterator

TOOLS = ("dbt", "Great Expectations 1.24", "Soda contracts 4.28", "dqx 0.17")

NAMES: dict[str, tuple[str, str, str, str]] = {
    "accepted_values": (
        "`accepted_values`",
        "`expect_column_values_to_be_in_set`",
        "`invalid` with `valid_values`",
        "`is_in_list`",
    ),
    "columns": ("model contract", "`expect_column_to_exist`", "`schema`", "`has_valid_schema`"),
    "completeness": (
        "`dbt_utils.not_null_proportion` with `group_by_columns`",
        "`expect_column_distinct_values_to_contain_set`",
        "none",
        "`is_aggr_not_less_than` with `group_by`",
    ),
    "distribution": (
        "`dbt_utils.not_constant`",
        "`expect_column_mean_to_be_between`, `expect_column_stdev_to_be_between`, "
        "`expect_column_unique_value_count_to_be_between`",
        "`aggregate` with `function: avg`",
        "`is_aggr_not_less_than`, `is_aggr_not_greater_than` with `aggr_type`",
    ),
    "drift": ("none", "`expect_column_kl_divergence_to_be_less_than`", "none", "`is_in_distribution`"),
    "freshness": ("`dbt_utils.recency`", "none", "`freshness`", "`is_data_fresh`"),
    "not_null": (
        "`not_null`, `dbt_utils.not_null_proportion`",
        "`expect_column_values_to_not_be_null`, `expect_column_proportion_of_non_null_values_to_be_between`",
        "`missing`",
        "`is_not_null`",
    ),
    "range": (
        "`dbt_utils.accepted_range`",
        "`expect_column_values_to_be_between`",
        "`invalid` with `valid_min`, `valid_max`",
        "`is_in_range`",
    ),
    "reference": (
        "`relationships`",
        "`UnexpectedRowsExpectation` with a join",
        "`invalid` with `valid_reference_data`",
        "`foreign_key`",
    ),
    "regex": (
        "`dbt_expectations.expect_column_values_to_match_regex`",
        "`expect_column_values_to_match_regex`",
        "`invalid` with `valid_format`",
        "`regex_match`",
    ),
    "row_count": (
        "none",
        "`expect_table_row_count_to_be_between`",
        "`row_count`",
        "`is_aggr_not_less_than`, `is_aggr_not_greater_than`",
    ),
    "row_count_change": ("none", "none", "none", "`has_no_aggr_outliers` with `aggr_type: count`"),
    "schema": (
        "model contract",
        "`expect_column_type_to_be`, `expect_table_columns_to_match_set`",
        "`schema`",
        "`has_valid_schema`",
    ),
    "sql": (
        "singular test, `dbt_utils.expression_is_true`",
        "`UnexpectedRowsExpectation`",
        "`failed_rows`",
        "`sql_query`, `sql_expression`",
    ),
    "sum": (
        "none",
        "`expect_column_sum_to_be_between`",
        "`aggregate` with `function: sum`",
        "`is_aggr_not_less_than`, `is_aggr_not_greater_than` with `aggr_type: sum`",
    ),
    "training_drift": ("none", "`expect_column_kl_divergence_to_be_less_than`", "none", "`is_in_distribution`"),
    "unique": (
        "`unique`, `dbt_utils.unique_combination_of_columns`",
        "`expect_column_values_to_be_unique`, `expect_compound_columns_to_be_unique`",
        "`duplicate`",
        "`is_unique`",
    ),
    "severity: warn": ("`severity: warn`", "`severity`", "`level: warn` of a `threshold`", "`criticality: warn`"),
}
"""Our check -> its name in each of the tools."""

DIFFERENCES = (
    "`unique` counts two nulls as the same value. dbt's `unique` ignores nulls, and so does dqx unless you set "
    "`nulls_distinct: false`. `regex` matches a whole text in the syntax of RE2; other tools use that of their engine."
)


def section() -> Iterator[str]:
    """Yield the parts of the section."""
    yield "## Names in other tools"
    yield (
        "The nearest check of dbt (with the packages `dbt_utils` and `dbt_expectations`), Great Expectations, the "
        "contract language of Soda Core, and dqx of Databricks Labs."
    )
    rows = [f"| here | {' | '.join(TOOLS)} |", f"| --- {'| --- ' * len(TOOLS)}|"]
    for name, names in NAMES.items():
        own = f"`{name}`" if ":" in name else f"[`{name}`](#{name})"
        rows.append(f"| {own} | {' | '.join(names)} |")
    yield "\n".join(rows)
    yield DIFFERENCES
