"""
Make the Secrets that are missing, and change none: `python create_secrets.py NAMESPACE JSON`.

JSON is name of a Secret to key to what its value is: `random`, `fernet`, a mapping of such, which becomes JSON, or text
in which `{SECRET/KEY}` stands for the value of another.
"""

import base64
import json
import os
import re
import secrets
import ssl
import sys
import urllib.error
import urllib.request

ACCOUNT = os.environ.get("ACCOUNT", "/var/run/secrets/kubernetes.io/serviceaccount")
API = os.environ.get("API", "https://kubernetes.default.svc")


def call(method, path, body=None):
    """The answer of the Kubernetes API as (status, JSON)."""
    with open(f"{ACCOUNT}/token") as token:
        headers = {"Authorization": f"Bearer {token.read().strip()}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"{API}/api/v1/{path}", data=data, headers=headers, method=method)
    trust = None
    if API.startswith("https:"):
        trust = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
        # Python 3.13 refuses authorities without key identifiers, e.g. those of EKS.
        trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        with urllib.request.urlopen(request, context=trust, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {"message": error.read().decode(errors="replace")}


def value(kind, known):
    """A new value of a kind."""
    if isinstance(kind, dict):
        return json.dumps({name: value(each, known) for name, each in kind.items()})
    if kind == "random":
        return secrets.token_urlsafe(32).replace("-", "x").replace("_", "y")
    if kind == "fernet":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return re.sub(r"\{([^/}]+)/([^}]+)\}", lambda found: known[found[1]][found[2]], kind)


def have(namespace, name, kinds, known):
    """Make one Secret unless it is there; its values either way."""
    values = {key: value(kind, known) for key, kind in kinds.items()}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
    status, answer = call("POST", f"namespaces/{namespace}/secrets", body)
    if status == 201:
        print(f"{name}: made")
        return values
    if status != 409:
        sys.exit(f"{name}: the Kubernetes API answered {status}: {answer['message']}")
    print(f"{name}: is there")
    status, answer = call("GET", f"namespaces/{namespace}/secrets/{name}")
    if status != 200:
        sys.exit(f"{name}: the Kubernetes API answered {status}: {answer['message']}")
    return {key: base64.b64decode(text).decode() for key, text in answer.get("data", {}).items()}


def main(namespace, wanted):
    """Create the wanted secrets; first those from which others are derived."""
    known = {}
    for name, kinds in sorted(wanted.items(), key=lambda item: any("://" in str(kind) for kind in item[1].values())):
        known[name] = have(namespace, name, kinds, known)


main(sys.argv[1], json.loads(sys.argv[2]))
