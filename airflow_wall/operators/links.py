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
        """Return the address, or an empty text before it is known. Airflow stores it as an XCom for the UI."""
        return str(getattr(operator, "links", {}).get(self.page, ""))


@attrs.define()
class ConsoleLink(_ClusterLink):
    """Link to the cluster in the console of its cloud, or in its own UI."""

    page: ClassVar[str] = "console"
    name: ClassVar[str] = "Cluster"


@attrs.define()
class LogsLink(_ClusterLink):
    """Link to the logs of the cluster, or to the output of the job."""

    page: ClassVar[str] = "logs"
    name: ClassVar[str] = "Cluster logs"
