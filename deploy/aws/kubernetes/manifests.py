"""
Print the Secrets of the chart and the Job that creates KEDA's role in the database, as one JSON list.

Reads `{"installation": <terraform output>, "secrets": {name: value}, "image": "ADDRESS:TAG"}` from standard input: the
arguments of a process can be read by others.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

NAMESPACE = "airflow"
AUTHORITY = "/authority/ca.crt"
KEDA_ROLE = "airflow_keda"

CREATE_ROLE = (Path(__file__).parent / "keda_role.py").read_text()


def main():
    """Print the manifests."""
    given = json.load(sys.stdin)
    items = manifests(given["installation"], given["secrets"], given["image"])
    json.dump({"apiVersion": "v1", "kind": "List", "items": items}, sys.stdout, indent=1)


def manifests(installation, secrets, image):
    """Return the Secrets and the Job."""
    database, broker = installation["database_host"], installation["broker_host"]
    password, token, keda = secrets["database-password"], secrets["broker-password"], secrets["keda-password"]
    contents = {
        "airflow-wall-metadata": {
            "connection": f"postgresql+psycopg://airflow:{password}@{database}:5432/airflow"
            f"?sslmode=verify-full&sslrootcert={AUTHORITY}"
        },
        "airflow-wall-broker": {"connection": f"rediss://:{token}@{broker}:6379/0?ssl_cert_reqs=required"},
        "airflow-wall-result-backend": {"connection": f"rediss://:{token}@{broker}:6379/1?ssl_cert_reqs=required"},
        "airflow-wall-keda": {
            "kedaConnection": f"postgresql://{KEDA_ROLE}:{keda}@{database}:5432/airflow?sslmode=require",
            "password": keda,
        },
        "airflow-wall-fernet": {"fernet-key": base64.urlsafe_b64encode(secrets["fernet-key"].encode()).decode()},
        "airflow-wall-jwt": {"jwt-secret": secrets["jwt-secret"]},
        "airflow-wall-api": {"api-secret-key": secrets["api-secret-key"]},
        "airflow-wall-users": {"passwords.json": json.dumps({"admin": secrets["admin-password"]})},
    }
    return [*(secret(name, content) for name, content in contents.items()), create_role(image, keda)]


def secret(name, content):
    """Return a Secret."""
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": content}


def create_role(image, password):
    """Return the Job. Its name has a hash of the password, so that a new password makes a new Job."""
    mark = hashlib.sha256(f"{image}\0{password}".encode()).hexdigest()[:10]
    container = {
        "name": "create-role",
        "image": image,
        "command": ["python", "-c", CREATE_ROLE],
        "env": [
            {"name": "DATABASE", "valueFrom": reference("airflow-wall-metadata", "connection")},
            {"name": "PASSWORD", "valueFrom": reference("airflow-wall-keda", "password")},
        ],
        "volumeMounts": [{"name": "authority", "mountPath": "/authority", "readOnly": True}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "restartPolicy": "OnFailure",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 50000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "authority", "configMap": {"name": "rds-authority"}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"airflow-keda-role-{mark}", "namespace": NAMESPACE},
        "spec": {"backoffLimit": 6, "ttlSecondsAfterFinished": 3600, "template": {"spec": pod}},
    }


def reference(name, key):
    """Return a reference to a key of a Secret."""
    return {"secretKeyRef": {"name": name, "key": key}}


if __name__ == "__main__":
    main()
