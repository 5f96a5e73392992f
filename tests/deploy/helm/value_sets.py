"""The sets of values that the chart's tests render: each a way in which somebody may install it."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

BUNDLED: Json = {name: {"bundled": True} for name in ("database", "broker", "storage")}
EXTERNAL: Json = {
    "database": {"existingSecret": "platform-database"},
    "broker": {"existingSecret": "platform-broker"},
    "storage": {"existingSecret": "platform-storage", "endpointUrl": "https://s3.example.org"},
    "keys": {"existingSecret": "platform-keys"},
}
GPU_POOLS: Json = {"processes": {"trainer-gpu": {"enabled": True}, "voice-gpu": {"enabled": True}}}
CLIENTS: Json = {
    "networkPolicy": {
        "clients": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
    }
}
MONITORING: Json = {
    "monitoring": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Simorgh"}},
    },
    "telemetry": {"otlpEndpoint": "http://collector.observability:4318"},
}
BACKUP: Json = {
    "backup": {
        "enabled": True,
        "to": "s3://elsewhere/simorgh",
        "endpointUrl": "https://s3.other.example.org",
        "region": "eu-west-1",
        "existingSecret": "backup-storage",
    }
}
INGRESS: Json = CLIENTS | {
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "controller": "nginx",
        "host": "simorgh.example.org",
        "tlsSecret": "simorgh-tls",
    }
}
EVERYWHERE: Json = {"nodeSelector": {"pool": "ml"}, "priorityClassName": "ml", "podLabels": {"team": "speech"}}


def merged(*parts: Mapping[str, Any]) -> Json:
    """The values together, as Helm puts them together; the last one wins."""
    whole: Json = {}
    for part in parts:
        for name, value in part.items():
            inner = whole.get(name)
            both = isinstance(inner, Mapping) and isinstance(value, Mapping)
            whole[name] = merged(inner, value) if both else value
    return whole


VALUE_SETS: dict[str, Json] = {
    "trial": BUNDLED,
    "external": EXTERNAL,
    "gpu": merged(EXTERNAL, GPU_POOLS, {"processes": {"inference": {"gpu": {"enabled": True, "count": 2}}}}),
    "keda": merged(EXTERNAL, GPU_POOLS, {"keda": {"enabled": True}}),
    "trial-keda": merged(
        BUNDLED, {"processes": {"trainer-gpu": {"enabled": True, "gpu": {"count": 4}}}}, {"keda": {"enabled": True}}
    ),
    "ingress": merged(
        EXTERNAL,
        INGRESS,
        {
            "storage": {"publicUrl": "https://files.example.org"},
            "processes": {"api": {"autoscaling": {"enabled": True}}, "inference": {"autoscaling": {"enabled": True}}},
        },
    ),
    "trial-ingress": merged(
        BUNDLED,
        INGRESS,
        {"ingress": {"controller": "traefik", "storageHost": "s3.example.org", "storageTlsSecret": "s3-tls"}},
    ),
    "monitored": merged(EXTERNAL, MONITORING),
    "backup": merged(EXTERNAL, BACKUP),
    "mirrored": merged(
        EXTERNAL,
        {
            "image": {
                "registry": "registry.example.org:5000",
                "repository": "mirror/simorgh",
                "digests": {"api": f"sha256:{'0123456789abcdef' * 4}"},
                "pullSecrets": ["registry"],
            },
            "commonLabels": {"cost-centre": "42"},
            "env": {"SIMORGH_LEASE_S": "30"},
            "processes": {
                "api": EVERYWHERE
                | {"env": {"SIMORGH_CORS_ORIGINS": "https://app.example.org", "SIMORGH_LEASE_S": "40"}},
                "inference": EVERYWHERE | {"scratch": {"size": "200Gi", "storageClass": "fast"}},
                "trainer-cpu": EVERYWHERE | {"podAnnotations": {"example.org/owner": "ml"}},
            },
            "fullnameOverride": "sim",
        },
    ),
    "small": merged(
        EXTERNAL,
        {
            "migration": {"mode": "none"},
            "networkPolicy": {"enabled": False},
            "podDisruptionBudgets": {"enabled": False},
            "topologySpread": {"enabled": False},
            "processes": {name: {"enabled": False} for name in ("trainer-cpu", "voice-cpu", "inference")},
        },
    ),
    "everything": merged(
        BUNDLED,
        GPU_POOLS,
        INGRESS,
        MONITORING,
        BACKUP,
        {"keda": {"enabled": True}, "processes": {"inference": {"gpu": {"enabled": True}}}},
    ),
}
