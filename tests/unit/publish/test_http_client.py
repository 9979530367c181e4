"""Each extra of an `http` connection takes effect, or is rejected without its value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_wall.connections.extras import resolved
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault
from airflow_wall.publish.http_client import HttpClient, http_client

SECRET = "secret-77"


def client(extra: dict[str, Any], url: str = "https://h/x", **fields: Any) -> HttpClient:
    return http_client(resolved(ConnectionInfo("partner", "http", extra=extra, **fields)), httpx.URL(url))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"timeout": 0}, "the extra `timeout` must be a positive number, got something else"),
        ({"timeout": "soon"}, "the extra `timeout` must be a positive number, got something else"),
        ({"timeout": True}, "the extra `timeout` must be a positive number, got something else"),
        ({"verify": "/no/such/ca.pem"}, "the extra `verify` must be true, false or a file of certificates"),
        ({"verify_ssl": 3}, "the extra `verify_ssl` must be true or false"),
        ({"trust_env": "maybe"}, "the extra `trust_env` must be true or false"),
        ({"cert": "/no/such.pem"}, "the extra `cert` must be the file of a certificate and its key"),
        ({"cert": {"a": 1}}, "the extra `cert` must be the file of a certificate and its key"),
        ({"proxies": [SECRET]}, "the extra `proxies` must be a URL, or a mapping"),
        ({"proxies": {"htps": "http://p:1"}}, "the extra `proxies` must be a URL, or a mapping"),
        ({"proxy": f"http://u:{SECRET}/x@p"}, "the extra `proxy` must be a URL, or a mapping"),
        ({"proxy": f"gopher://u:{SECRET}@p"}, "the extra `proxy` must be a URL, or a mapping"),
        ({"headers": SECRET}, "the extra `headers` must be a mapping"),
        ({"headers": {"X Key": SECRET}}, "the extra `headers` must be a mapping of names of headers"),
        ({"headers": {"X-Key": f"{SECRET}\n"}}, "the extra `headers.X-Key` must be one line of ASCII text"),
        ({"headers": {"X-Key": f"{SECRET}é"}}, "the extra `headers.X-Key` must be one line of ASCII text"),
        ({"headers": {"X-Key": [SECRET]}}, "the extra `headers.X-Key` must be one line of ASCII text"),
        ({"Content-Type": "text/csv"}, "the extra `headers.Content-Type` of type `http` cannot be honoured"),
        ({"allow_redirects": True}, "the extra `allow_redirects` of type `http` cannot be honoured"),
        ({"check_response": "false"}, "the extra `check_response` of type `http` cannot be honoured"),
        ({"auth_type": "x"}, "`auth_type` is not an extra of type `http`"),
    ],
)
def test_extra_that_cannot_be_honoured_is_named_without_its_value(extra: dict[str, Any], message: str) -> None:
    with pytest.raises(ConnectionFault) as error:
        client(extra)
    assert error.value.message.startswith(f"connection `partner`: {message}")
    assert error.value.hint
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("extra", [{"cert": "c.pem"}, {"verify": "ca.pem"}])
def test_certificates_need_tls(extra: dict[str, Any]) -> None:
    with pytest.raises(ConnectionFault, match="it needs TLS: write `https://`"):
        client(extra, "http://h/x")


@pytest.mark.parametrize(
    ("fields", "url", "message"),
    [
        (
            {"login": "me", "password": SECRET},
            f"https://me:{SECRET}@h",
            "`login` and the URL in `host` both hold a login",
        ),
        (
            {"login": "me", "extra": {"authorization": SECRET}},
            "https://h",
            "`login` and the header `Authorization` both hold",
        ),
        ({"password": SECRET}, "https://h", "has a `password` and no `login`, so it would not be sent"),
    ],
)
def test_login_that_would_be_ignored_is_named(fields: dict[str, Any], url: str, message: str) -> None:
    with pytest.raises(ConnectionFault) as error:
        client(fields.pop("extra", {}), url, **fields)
    assert message in str(error.value)
    assert SECRET not in str(error.value)


def test_settings_of_a_connection_written_as_a_url_are_texts() -> None:
    found = client({"timeout": "3", "verify": "false", "trust_env": "False", "allow_redirects": "false"})
    assert found.timeout == httpx.Timeout(3)
    assert not found.context.check_hostname
    assert not found.trust_env
    assert client({"timeout": [1, 30]}).timeout == httpx.Timeout(30, connect=1)
    assert client({}).context.check_hostname
    assert SECRET not in repr(client({"X-Key": SECRET}, login="me", password=SECRET))


def test_request_goes_by_the_proxy(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "shop.invalid")  # the connection says otherwise
    proxy = receiver.origin.replace("//", f"//me:{SECRET}@")
    url = httpx.URL("http://shop.invalid/hook")
    assert client({"proxies": {"http": proxy}}, str(url)).post(url, b"x", {}).is_success
    ((headers, body),) = receiver.got
    assert (headers["host"], body) == ("shop.invalid", b"x")
    assert headers["proxy-authorization"].startswith("Basic ")
    with pytest.raises(httpx.ConnectError):
        client({"proxies": {"https": proxy}}, str(url)).post(url, b"x", {})


def test_proxy_of_the_environment_counts_unless_it_is_not_trusted(
    receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", receiver.origin)
    url = httpx.URL("http://shop.invalid/hook")
    assert client({}, str(url)).post(url, b"x", {}).is_success
    with pytest.raises(httpx.ConnectError):
        client({"trust_env": False}, str(url)).post(url, b"x", {})


def test_encrypted_key_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pw")
    )
    (tmp_path / "key.pem").write_bytes(key)
    with pytest.raises(ConnectionFault, match="the extra `cert` must be"):
        client({"cert": str(tmp_path / "key.pem")})
