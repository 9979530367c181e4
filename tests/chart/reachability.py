"""Compute the connections that NetworkPolicies allow, as a network plugin does."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from rendering import Manifest, Rendered, selects


@dataclass(frozen=True)
class End:
    """
    An end of a connection.

    :param labels: Labels of the pod; None outside pods.
    :param namespace: Its name.
    :param address: IP.
    """

    labels: dict[str, str] | None
    namespace: str = "data"
    address: str = "10.244.0.9"


def reaches(rendered: Rendered, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Return True if the policies of a release allow a connection at both of its ends."""
    policies = rendered.of("NetworkPolicy")
    out = _allowed(policies, "egress", source, target, port, protocol)
    return out and _allowed(policies, "ingress", target, source, port, protocol)


def _allowed(policies: list[Manifest], way: str, end: End, other: End, port: int, protocol: str) -> bool:
    """Return True if one end allows the connection: no policy selects it, or one that does has a rule for it."""
    mine = [each["spec"] for each in policies if _selects(each, way, end)]
    if not mine:
        return True
    peers = "to" if way == "egress" else "from"
    return any(
        _has_port(rule, port, protocol) and (not rule.get(peers) or any(_is(peer, other) for peer in rule[peers]))
        for spec in mine
        for rule in spec.get(way) or []
    )


def _selects(policy: Manifest, way: str, end: End) -> bool:
    namespace = policy["metadata"].get("namespace", "data")
    if end.labels is None or end.namespace != namespace or way.capitalize() not in policy["spec"]["policyTypes"]:
        return False
    return selects(policy["spec"]["podSelector"], end.labels)


def _has_port(rule: Manifest, port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return not ports or any(each["port"] == port and each["protocol"] == protocol for each in ports)


def _is(peer: Manifest, end: End) -> bool:
    if "ipBlock" in peer:
        address = ipaddress.ip_address(end.address)
        inside = address in ipaddress.ip_network(peer["ipBlock"]["cidr"])
        return inside and not any(address in ipaddress.ip_network(each) for each in peer["ipBlock"].get("except", []))
    if end.labels is None:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": end.namespace}):
            return False
    elif end.namespace != "data":
        return False
    return selects(peer.get("podSelector", {}), end.labels)
