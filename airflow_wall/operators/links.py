"""Links from a task in the UI to the pages of its cluster, and to its check report."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
from airflow.sdk import BaseOperatorLink


@attrs.define()
class _StepLink(BaseOperatorLink):
    page: ClassVar[str]
    """Key of the operator's `links`, e.g. of `Shown.links`."""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002
        """Return the address, or an empty text before it is known. Airflow stores it as an XCom for the UI."""
        return str(getattr(operator, "links", {}).get(self.page, ""))


@attrs.define()
class ConsoleLink(_StepLink):
    """Link to the cluster in the console of its cloud, or in its own UI."""

    page: ClassVar[str] = "console"
    name: ClassVar[str] = "Cluster"


@attrs.define()
class LogsLink(_StepLink):
    """Link to the logs of the cluster, or to the output of the job."""

    page: ClassVar[str] = "logs"
    name: ClassVar[str] = "Cluster logs"


@attrs.define()
class ReportLink(_StepLink):
    """Link to the report of the checks, on the server that `[wall] reports_url` names."""

    page: ClassVar[str] = "report"
    name: ClassVar[str] = "Check report"
