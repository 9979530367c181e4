"""Links from a task in the UI to the pages of its cluster."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
from airflow.sdk import BaseOperatorLink


@attrs.define()
class _ClusterLink(BaseOperatorLink):
    page: ClassVar[str]
    """Key of `Shown.links`."""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002
        """The address, as far as the task has come; the UI reads what was kept of it as an XCom."""
        return str(getattr(operator, "links", {}).get(self.page, ""))


@attrs.define()
class ConsoleLink(_ClusterLink):
    """The cluster in the console of its cloud, or in its own UI."""

    page: ClassVar[str] = "console"
    name: ClassVar[str] = "Cluster"


@attrs.define()
class LogsLink(_ClusterLink):
    """The logs of the cluster, or the output of the job."""

    page: ClassVar[str] = "logs"
    name: ClassVar[str] = "Cluster logs"
