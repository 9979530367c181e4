"""Notifications of runs: the events, and the channels to send them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from airflow_wall.language.base import ConnId, SpecModel, WithoutAddresses
from airflow_wall.language.callables import Dotted, many
from airflow_wall.language.markers import Template
from airflow_wall.text.kinds import Arguments, Connection, FieldKind, Plain

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
    FieldKind.PLAIN,
]
"""A text, or a template `{$t: ...}`, in which `notice` is defined."""

Addresses = Annotated[
    list[str],
    Field(min_length=1),
    BeforeValidator(many, json_schema_input_type=str | list[str]),
    FieldKind.PLAIN,
]


def _endpoint(value: str) -> str:
    if "://" in value or value.startswith("//"):  # Airflow would use it as the address if the connection has no host
        hint = "write the part behind the host, e.g. `endpoint: alerts/data`; the host belongs into the connection"
        raise PydanticCustomError("endpoint", "must be a path, not an address", {"hint": hint})
    return value


class Channel(SpecModel):
    """A channel for notifications: one notifier of an Airflow provider."""

    uses: ClassVar[str]
    package: ClassVar[str]
    texts: ClassVar[dict[str, str]] = {}
    """Argument of the notifier to the part of `notice` that is its default."""

    names: ClassVar[dict[str, str]] = {}
    """Key to the notifier's argument, if the two names differ."""

    conn_id: Connection[ConnId[str]] | None = Field(None, description="The connection; by default the provider's own.")

    def arguments(self, event: str) -> dict[str, Any]:  # noqa: ARG002  # subclasses use it
        """Return the arguments of the notifier."""
        written = {name: getattr(self, name) for name in self.model_fields_set if getattr(self, name) is not None}
        defaults = {argument: Template(f"{{{{ notice.{part} }}}}") for argument, part in self.texts.items()}
        return defaults | {self.names.get(name, name): value for name, value in written.items()}


class Slack(Channel):
    """A message to a Slack channel, by an API token."""

    uses = "airflow.providers.slack.notifications.slack.SlackNotifier"
    package = "apache-airflow-providers-slack"
    texts: ClassVar[dict[str, str]] = {"text": "text"}
    names: ClassVar[dict[str, str]] = {"conn_id": "slack_conn_id", "message": "text"}

    channel: Plain[str] = Field(description="The channel, e.g. `#data`.")
    message: Words | None = Field(None, description="The text instead of the default.")


class SlackWebhook(Channel):
    """A message by an incoming webhook of Slack, which belongs to one channel."""

    uses = "airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier"
    package = "apache-airflow-providers-slack"
    texts: ClassVar[dict[str, str]] = {"text": "text"}
    names: ClassVar[dict[str, str]] = {"conn_id": "slack_webhook_conn_id", "message": "text"}

    message: Words | None = Field(None, description="The text instead of the default.")


class Email(Channel):
    """A mail by SMTP."""

    uses = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
    package = "apache-airflow-providers-smtp"
    texts: ClassVar[dict[str, str]] = {"subject": "subject", "html_content": "html"}
    names: ClassVar[dict[str, str]] = {"conn_id": "smtp_conn_id", "message": "html_content"}

    to: Addresses = Field(description="The addresses it goes to.")
    cc: Addresses | None = Field(None, description="The addresses that get a copy.")
    from_email: Plain[str] | None = Field(None, description="The sender; by default that of the connection.")
    subject: Words | None = Field(None, description="The subject instead of the default.")
    message: Words | None = Field(None, description="The text instead of the default, as HTML.")


class Apprise(Channel):
    """A message by Apprise, which reaches Discord, Telegram and a hundred more."""

    uses = "airflow.providers.apprise.notifications.apprise.AppriseNotifier"
    package = "apache-airflow-providers-apprise"
    texts: ClassVar[dict[str, str]] = {"title": "subject", "body": "text"}
    names: ClassVar[dict[str, str]] = {"conn_id": "apprise_conn_id", "message": "body"}

    tag: Plain[str] | None = Field(None, description="The services of the connection to use; by default all.")
    title: Words | None = Field(None, description="The title instead of the default.")
    message: Words | None = Field(None, description="The text instead of the default.")

    def arguments(self, event: str) -> dict[str, Any]:
        """Return the arguments of the notifier. Its type gives the message its colour."""
        kind = {"failure": "failure", "success": "success"}.get(event, "warning")
        return {"notify_type": kind, **super().arguments(event)}


class Teams(Channel):
    """A card in a channel of Microsoft Teams, by a workflow with a webhook."""

    uses = "airflow_wall.notifications.teams.TeamsNotifier"
    package = "airflow-wall"
    texts: ClassVar[dict[str, str]] = {"title": "subject", "text": "text", "url": "url", "event": "event"}
    names: ClassVar[dict[str, str]] = {"message": "text"}

    conn_id: Connection[ConnId[str]] = Field(
        description="A connection of type `http`: `host` is the address of the workflow."
    )
    title: Words | None = Field(None, description="The first line instead of the default.")
    message: Words | None = Field(None, description="The text instead of the default.")


class Http(Channel):
    """A POST with the notification as JSON."""

    uses = "airflow.providers.http.notifications.http.HttpNotifier"
    package = "apache-airflow-providers-http"
    names: ClassVar[dict[str, str]] = {"conn_id": "http_conn_id"}

    endpoint: Plain[Annotated[str, AfterValidator(_endpoint)]] | None = Field(
        None, description="Path below the address of the connection."
    )
    headers: Plain[dict[str, str]] | None = Field(None, description="Headers besides those of the connection.")

    def arguments(self, event: str) -> dict[str, Any]:
        """Return the arguments of the notifier, with every part of the notice in its own field."""
        parts = ("event", "dag_id", "run_id", "task_id", "environment", "reason", "url", "subject", "text")
        fields = {part: Template(f"{{{{ notice.{part} or '' }}}}") for part in parts}
        return {**super().arguments(event), "json": {**fields, "tasks": Template("{{ notice.tasks | join(',') }}")}}


class NoticeBy(SpecModel):
    """One notification: by a channel, or by any notifier."""

    refused: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("discord", "opsgenie", "pagerduty", "telegram"), "`apprise` reaches it"),
        "msteams": "write it as `teams`",
        **dict.fromkeys(("mail", "smtp"), "write it as `email`"),
        "webhook": "write it as `http`, or as `slack_webhook`",
    }

    slack: Slack | None = Field(None, description="A message to a Slack channel.")
    slack_webhook: SlackWebhook | None = Field(None, description="A message by an incoming webhook of Slack.")
    email: Email | None = Field(None, description="A mail.")
    apprise: Apprise | None = Field(None, description="A message by Apprise: Discord, Telegram and others.")
    teams: Teams | None = Field(None, description="A card in a channel of Microsoft Teams.")
    http: Http | None = Field(None, description="A POST with JSON.")
    uses: Dotted | None = Field(None, description="Any other notifier, by its dotted path.")
    with_: Arguments[WithoutAddresses[dict[str, Any]]] = Field(
        default_factory=dict, alias="with", description="Its arguments; `notice` is defined in `$t`."
    )

    @model_validator(mode="after")
    def _is_one(self) -> NoticeBy:
        if len(self.model_fields_set - {"with_"}) != 1 or (self.uses is None and self.with_):
            hint = "write e.g. `- slack: {channel: '#data'}`, or `- {uses: package.module.Notifier, with: {...}}`"
            raise PydanticCustomError("one_of", "must be one channel, or a notifier by `uses`", {"hint": hint})
        return self

    def channel(self) -> Channel | None:
        """Return the channel, or None for a notifier by `uses`."""
        return self.slack or self.slack_webhook or self.email or self.apprise or self.teams or self.http


Notices = Annotated[
    list[NoticeBy],
    Field(min_length=1),
    BeforeValidator(many, json_schema_input_type=NoticeBy | list[NoticeBy]),
]


class Notify(SpecModel):
    """Notifications by event."""

    failure: Notices | None = Field(None, description="Sent when a run has failed, also by a task that was killed.")
    success: Notices | None = Field(None, description="Sent when a run has succeeded.")
    retry: Notices | None = Field(None, description="Sent when a task has failed and will be tried again.")
    deadline: Notices | None = Field(None, description="Sent when a run has missed one of the pipeline's `deadline`s.")

    def by_event(self) -> dict[str, list[NoticeBy]]:
        """Return the notifications of each event that has any."""
        events = {event: getattr(self, event) for event in ("failure", "success", "retry", "deadline")}
        return {event: notices for event, notices in events.items() if notices}
