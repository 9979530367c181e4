"""Who is told of a run, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, InstanceOf, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from airflow_wall.spec.base import SpecModel
from airflow_wall.spec.callables import Dotted, many
from airflow_wall.spec.markers import Template

Words = Annotated[
    str | InstanceOf[Template],
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "object", "properties": {"$t": {"type": "string"}}, "required": ["$t"]},
            ]
        }
    ),
]
"""A text, or `{$t: ...}` in which `notice` is known."""

Addresses = Annotated[
    list[str],
    Field(min_length=1),
    BeforeValidator(many, json_schema_input_type=str | list[str]),
]


class Channel(SpecModel):
    """A way to reach people: one notifier of one provider of Airflow."""

    uses: ClassVar[str]
    package: ClassVar[str]
    texts: ClassVar[dict[str, str]] = {}
    """Argument of the notifier to what of `notice` it holds where the YAML gives nothing else."""

    names: ClassVar[dict[str, str]] = {}
    """Key to the argument of the notifier that it is, where the two differ."""

    conn_id: str | None = Field(None, description="The connection; by default the provider's own.")

    def arguments(self, event: str) -> dict[str, Any]:  # noqa: ARG002  # those that depend on it say so
        """What the notifier is given."""
        given = {name: getattr(self, name) for name in self.model_fields_set if getattr(self, name) is not None}
        defaults = {argument: Template(f"{{{{ notice.{part} }}}}") for argument, part in self.texts.items()}
        return defaults | {self.names.get(name, name): value for name, value in given.items()}


class Slack(Channel):
    """A message to a Slack channel, by an API token."""

    uses = "airflow.providers.slack.notifications.slack.SlackNotifier"
    package = "apache-airflow-providers-slack"
    texts: ClassVar[dict[str, str]] = {"text": "text"}
    names: ClassVar[dict[str, str]] = {"conn_id": "slack_conn_id", "message": "text"}

    channel: str = Field(description="The channel, e.g. `#data`.")
    message: Words | None = Field(None, description="What is said instead of the usual.")


class SlackWebhook(Channel):
    """A message by an incoming webhook of Slack, which belongs to one channel."""

    uses = "airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier"
    package = "apache-airflow-providers-slack"
    texts: ClassVar[dict[str, str]] = {"text": "text"}
    names: ClassVar[dict[str, str]] = {"conn_id": "slack_webhook_conn_id", "message": "text"}

    message: Words | None = Field(None, description="What is said instead of the usual.")


class Email(Channel):
    """A mail by SMTP."""

    uses = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
    package = "apache-airflow-providers-smtp"
    texts: ClassVar[dict[str, str]] = {"subject": "subject", "html_content": "html"}
    names: ClassVar[dict[str, str]] = {"conn_id": "smtp_conn_id", "message": "html_content"}

    to: Addresses = Field(description="Who gets it.")
    cc: Addresses | None = Field(None, description="Who gets a copy.")
    from_email: str | None = Field(None, description="Who it is from; by default what the connection says.")
    subject: Words | None = Field(None, description="The subject instead of the usual.")
    message: Words | None = Field(None, description="What is said instead of the usual, as HTML.")


class Apprise(Channel):
    """A message by Apprise, which reaches Microsoft Teams, Discord, Telegram and a hundred more."""

    uses = "airflow.providers.apprise.notifications.apprise.AppriseNotifier"
    package = "apache-airflow-providers-apprise"
    texts: ClassVar[dict[str, str]] = {"title": "subject", "body": "text"}
    names: ClassVar[dict[str, str]] = {"conn_id": "apprise_conn_id", "message": "body"}

    tag: str | None = Field(None, description="Which services of the connection are used; by default all.")
    title: Words | None = Field(None, description="The title instead of the usual.")
    message: Words | None = Field(None, description="What is said instead of the usual.")

    def arguments(self, event: str) -> dict[str, Any]:
        """What the notifier is given; the type gives the message its colour."""
        kind = {"failure": "failure", "success": "success"}.get(event, "warning")
        return {"notify_type": kind, **super().arguments(event)}


class Http(Channel):
    """A POST with the notification as JSON."""

    uses = "airflow.providers.http.notifications.http.HttpNotifier"
    package = "apache-airflow-providers-http"
    names: ClassVar[dict[str, str]] = {"conn_id": "http_conn_id"}

    endpoint: str | None = Field(None, description="Path below what the connection says.")
    headers: dict[str, str] | None = Field(None, description="Headers besides those of the connection.")

    def arguments(self, event: str) -> dict[str, Any]:
        """What the notifier is given: every part of the notice in a field of its own."""
        parts = ("event", "dag_id", "run_id", "task_id", "environment", "reason", "url", "subject", "text")
        fields = {part: Template(f"{{{{ notice.{part} or '' }}}}") for part in parts}
        return {**super().arguments(event), "json": {**fields, "tasks": Template("{{ notice.tasks | join(',') }}")}}


class NoticeBy(SpecModel):
    """One notification: by a channel, or by any notifier."""

    refused: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("discord", "msteams", "opsgenie", "pagerduty", "teams", "telegram"), "`apprise` reaches it"),
        **dict.fromkeys(("mail", "smtp"), "write it as `email`"),
        "webhook": "write it as `http`, or as `slack_webhook`",
    }

    slack: Slack | None = Field(None, description="A message to a Slack channel.")
    slack_webhook: SlackWebhook | None = Field(None, description="A message by an incoming webhook of Slack.")
    email: Email | None = Field(None, description="A mail.")
    apprise: Apprise | None = Field(None, description="A message by Apprise: Microsoft Teams, Discord and others.")
    http: Http | None = Field(None, description="A POST with JSON.")
    uses: Dotted | None = Field(None, description="Any other notifier, by its dotted path.")
    with_: dict[str, Any] = Field(
        default_factory=dict, alias="with", description="Its arguments; `notice` is known in `$t`."
    )

    @model_validator(mode="after")
    def _is_one(self) -> NoticeBy:
        if len(self.model_fields_set - {"with_"}) != 1 or (self.uses is None and self.with_):
            hint = "write e.g. `- slack: {channel: '#data'}`, or `- {uses: package.module.Notifier, with: {...}}`"
            raise PydanticCustomError("one_of", "must be one channel, or a notifier by `uses`", {"hint": hint})
        return self

    def channel(self) -> Channel | None:
        """The channel; None for a notifier by `uses`."""
        return self.slack or self.slack_webhook or self.email or self.apprise or self.http


Notices = Annotated[
    list[NoticeBy],
    Field(min_length=1),
    BeforeValidator(many, json_schema_input_type=NoticeBy | list[NoticeBy]),
]


class Notify(SpecModel):
    """Who is told when."""

    failure: Notices | None = Field(None, description="When a run has failed, also by a task that was killed.")
    success: Notices | None = Field(None, description="When a run has succeeded.")
    retry: Notices | None = Field(None, description="When a task has failed and will be tried again.")
    deadline: Notices | None = Field(None, description="When a run has missed one of the pipeline's `deadline`s.")

    def given(self) -> dict[str, list[NoticeBy]]:
        """Event to its notifications, in this order."""
        found = {event: getattr(self, event) for event in ("failure", "success", "retry", "deadline")}
        return {event: notices for event, notices in found.items() if notices}
