"""Each extra of a connection is honoured, or rejected by its name."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_wall.connections.extras import EXTRAS, resolved
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault
from airflow_wall.operators.base import connection


def given(conn_type: str, extra: dict[str, Any]) -> ConnectionInfo:
    return ConnectionInfo("there", conn_type, extra=extra)


def refused(conn_type: str, extra: dict[str, Any]) -> str:
    with pytest.raises(ConnectionFault) as error:
        resolved(given(conn_type, extra))
    return str(error.value)


@pytest.mark.parametrize("conn_type", EXTRAS)
def test_every_honoured_extra_is_kept_and_every_rejected_one_named(conn_type: str) -> None:
    known = EXTRAS[conn_type]()
    for name in known.honoured - {"session_kwargs", "assume_role_kwargs", "assume_role_method", "headers"}:
        assert resolved(given(conn_type, {name: "x"})).extra == {name: "x"}
    for name, hint in known.rejected.items():
        assert refused(conn_type, {name: "surely not a default"}) == (
            f"connection `there`: the extra `{name}` of type `{conn_type}` cannot be honoured\n\nhint: {hint}"
        )
        for value in known.defaults.get(name, ()):
            assert resolved(given(conn_type, {name: value})).extra == {}


@pytest.mark.parametrize(
    ("conn_type", "name", "hint"),
    [
        ("postgres", "ssl_mode", "did you mean `sslmode`?"),
        ("postgres", "SSLMODE", "did you mean `sslmode`?"),
        ("postgres", "frobnicate", "write a parameter of libpq, such as `sslmode`"),
        ("postgres", "autocommit", "write a parameter of libpq, such as `sslmode`"),
        ("sqlite", "modus", "did you mean `mode`?"),
        ("http", "verfy", "did you mean `verify`?"),
        ("http", "frobnicate", 'write a header as `{"headers": {"NAME": "VALUE"}}`'),
        ("aws", "role_am", "did you mean `role_arn`?"),
        ("aws", "region", "did you mean `region_name`?"),
        ("google_cloud_platform", "keyfile", "did you mean `keyfile_dict`?"),
    ],
)
def test_unknown_extra_is_named_with_the_nearest(conn_type: str, name: str, hint: str) -> None:
    assert refused(conn_type, {name: "x"}) == (
        f"connection `there`: `{name}` is not an extra of type `{conn_type}`\n\nhint: {hint}"
    )


def test_unknown_extra_that_may_be_a_secret_is_not_shown() -> None:
    assert "hunter" not in refused("postgres", {"postgres://me:hunter22@db/x": ""} | {"pass:hunter22 ": 1})


def test_old_prefix_of_the_ui_is_read_and_its_empty_fields_are_left_out() -> None:
    extra = {
        "extra__google_cloud_platform__project": "p",
        "extra__google_cloud_platform__key_path": "",
        "extra__google_cloud_platform__num_retries": 5,
        "extra__google_cloud_platform__keyfile_dict": None,
        "scope": "s",
    }
    assert resolved(given("google_cloud_platform", extra)).extra == {"project": "p", "scope": "s"}
    assert resolved(given("postgres", {"sslmode": "require", "extra__postgres__sslmode": "allow"})).extra == {
        "sslmode": "require"
    }
    assert "`extra__http__sslmode` is not an extra" in refused("postgres", {"extra__http__sslmode": "x"})


def test_headers_that_airflow_sends_are_sent() -> None:
    found = resolved(
        given("http", {"X-Team": "a", "Authorization": "Bearer t", "headers": {"X-Team": "b"}, "timeout": 3})
    )
    assert found.extra == {"headers": {"X-Team": "b", "Authorization": "Bearer t"}, "timeout": 3}
    assert resolved(found) == found


def test_extras_of_aws_that_the_hook_leaves_unread_are_named() -> None:
    assert refused("aws", {"session_kwargs": {"profile_name": "x"}}) == (
        "connection `there`: the extra `session_kwargs.profile_name` of type `aws` cannot be honoured\n\n"
        "hint: write `profile_name` beside `session_kwargs`"
    )
    assert "write `role_arn` too" in refused("aws", {"assume_role_kwargs": {"ExternalId": "x"}})
    both = {"role_arn": "r", "assume_role_kwargs": {"ExternalId": "x"}}
    assert resolved(given("aws", both)).extra == both


def test_null_turns_prepared_statements_off() -> None:
    assert resolved(given("postgres", {"prepare_threshold": None, "sslmode": None})).extra == {
        "prepare_threshold": None
    }


def test_a_type_that_is_never_read_keeps_its_extras() -> None:
    known = given("slack", {"anything": 1})
    assert resolved(known) is known


def test_operators_resolve_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_THERE", "postgres://me:pw@db:5/shop?sslmode=verify-full&extra__postgres__options=-c"
    )
    expected = ConnectionInfo(
        "there", "postgres", "db", "me", "pw", "shop", 5, {"sslmode": "verify-full", "options": "-c"}
    )
    assert connection("there") == expected
    monkeypatch.setenv("AIRFLOW_CONN_THERE", "postgres://me:pw@db:5/shop?sslmod=verify-full")
    with pytest.raises(ConnectionFault, match="did you mean `sslmode`"):
        connection("there")


@pytest.mark.parametrize("extra", ["sslmode=require", "[1]", '"x"'])
def test_extra_that_is_not_an_object_is_named(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_THERE", json.dumps({"conn_type": "postgres", "host": "db", "extra": extra}))
    with pytest.raises(ConnectionFault) as error:
        connection("there")
    assert str(error.value) == (
        "connection `there`: expected a JSON object in `extra`, got something else\n\n"
        'hint: write it as in `{"sslmode": "require"}`'
    )


@pytest.mark.parametrize(
    ("host", "secrets"),
    [
        ("hooks.example.com/services/T0/path-secret-8?token=q-secret-9", ["path-secret-8", "q-secret-9"]),
        ("//hooks.example.com/path-secret-8", ["path-secret-8"]),
        ("hooks.example.com?q-secret-9", ["q-secret-9"]),
        ("hooks.example.com#part-secret", ["part-secret"]),
        ("me:p%40ss-1@hooks.example.com:8080/path-secret-8", ["p%40ss-1", "p@ss-1", "path-secret-8"]),
        ("token-secret@hooks.example.com", ["token-secret"]),
        ("https://token%2Dsecret@hooks.example.com", ["token%2Dsecret", "token-secret"]),
    ],
)
def test_host_without_a_scheme_has_secrets_too(host: str, secrets: list[str]) -> None:
    assert set(secrets) <= set(ConnectionInfo("there", "http", host=host).secrets())


def test_login_without_a_password_is_a_secret_where_it_may_be_a_token() -> None:
    basic = base64.b64encode(b"token-secret:").decode()
    assert ConnectionInfo("there", "http", login="token-secret").secrets() == ["token-secret", basic]
    assert ConnectionInfo("there", "opensearch", login="token-secret").secrets() == ["token-secret", basic]
    assert ConnectionInfo("there", "postgres", host="/var/run/postgresql", login="reader").secrets() == []
    assert ConnectionInfo("there", "sqlite", host="/srv/data/scores.db").secrets() == []
    assert "reader" not in ConnectionInfo("there", "http", login="reader", password="pass-secret").secrets()


def test_password_without_a_login_is_a_secret_as_a_header_has_it() -> None:
    assert base64.b64encode(b":pass-secret").decode() in ConnectionInfo("t", "http", password="pass-secret").secrets()


@pytest.mark.parametrize(
    ("given", "secret"),
    [
        ({"conn_type": "http", "host": "h.example.com/services/path-secret-8"}, "path-secret-8"),
        ({"conn_type": "http", "host": "h.example.com", "login": "token-secret"}, "token-secret"),
        ({"conn_type": "http", "host": "h.example.com", "extra": {"headers": {"X-Key": "head-secret"}}}, "head-secret"),
    ],
)
def test_airflow_masks_each_secret_of_a_connection(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], secret: str
) -> None:
    masked: list[Any] = []
    monkeypatch.setattr("airflow_wall.operators.base.mask_secret", masked.append)
    monkeypatch.setenv("AIRFLOW_CONN_THERE", json.dumps(given))
    connection("there")
    assert secret in masked


def test_secrets_of_a_connection_are_in_no_message() -> None:
    known = ConnectionInfo(
        "there",
        "http",
        host="https://me:p%40ss-1@h:8/services/T0/path-secret-8?token=q-secret-9",
        login="l",
        password='it\'s "quoted"',
        extra={
            "headers": {"X-Key": "head-secret", "Content-Type": "text/plain"},
            "proxies": {"http": "http://u:proxy-pass@p:3128"},
            "keyfile_dict": '{"private_key": "-----KEY-----\\nlines"}',
            "timeout": "1234",
        },
    )
    text = (
        "https://me:p%40ss-1@h:8/services/T0/path-secret-8?token=q-secret-9 and /services/T0/path-secret-8, p@ss-1, "
        'path-secret-8 q-secret-9 head-secret proxy-pass it\'s "quoted" it\'s \\"quoted\\" -----KEY-----\\nlines '
        "bDppdCdzICJxdW90ZWQi text/plain 1234 http://other.example/path?x=1"
    )
    shown = known.hide(text)
    assert shown.startswith("https://")
    for secret in (
        "p%40ss",
        "p@ss",
        "path-secret",
        "q-secret",
        "head-secret",
        "proxy-pass",
        "quoted",
        "KEY",
        "bDppd",
        "path?",
    ):
        assert secret not in shown
    assert shown.endswith("text/plain 1234 http://other.example")
    assert "secret" not in repr(known)
    assert "p%40ss" not in repr(known)
    assert replace(known, host="h", password=None, extra={}).hide(text) == text.replace(
        "https://me:p%40ss-1@h:8/services/T0/path-secret-8?token=q-secret-9", "https://h:8"
    ).replace("/path?x=1", "")
