"""The fields of a KubeRay RayJob and of a ConfigMap that facemint writes, with their types and what is required.

Source: the Go types of ray-project/kuberay, ray-operator/apis/ray/v1/rayjob_types.go and raycluster_types.go (ray.io/v1), of authOptions the release notes
of KubeRay 1.5.1 and the API reference of 1.6.2 (disabled, token), and
Kubernetes core/v1 PodTemplateSpec and ConfigMap. Unknown fields are refused, as `kubectl apply` does with field validation.
"""

from __future__ import annotations

from typing import Any

LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"  # RFC 1123
INT32 = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
TEXT = {"type": "string"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
QUANTITIES = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))([KMGTPE]i|[numkMGTPE]|[eE](\+|-)?[0-9]+)?$"}]
    },
}


def record(required: list[str], **fields: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": fields, "additionalProperties": False}


def records(required: list[str], **fields: Any) -> dict[str, Any]:
    return {"type": "array", "items": record(required, **fields)}


METADATA = record(["name"], name={"type": "string", "pattern": LABEL, "maxLength": 47})  # KubeRay's limit for the name of a RayJob
CONTAINERS = records(
    ["name"],
    name={"type": "string", "pattern": LABEL},
    image=TEXT,
    resources=record([], requests=QUANTITIES, limits=QUANTITIES),
    volumeMounts=records(["name", "mountPath"], name=TEXT, mountPath=TEXT, readOnly={"type": "boolean"}),
)
VOLUMES = records(["name"], name=TEXT, configMap=record([], name=TEXT), persistentVolumeClaim=record(["claimName"], claimName=TEXT))
POD_TEMPLATE = record(["spec"], spec=record(["containers"], terminationGracePeriodSeconds=INT32, containers=CONTAINERS, volumes=VOLUMES))
WORKER_GROUP = {
    "groupName": TEXT, "replicas": INT32, "minReplicas": INT32, "maxReplicas": INT32, "rayStartParams": TEXTS, "template": POD_TEMPLATE,
}  # fmt: skip
RAY_CLUSTER = record(
    ["headGroupSpec"],
    rayVersion=TEXT,
    authOptions=record([], mode={"enum": ["disabled", "token"]}),
    headGroupSpec=record(["rayStartParams", "template"], rayStartParams=TEXTS, template=POD_TEMPLATE),
    workerGroupSpecs=records(["groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"], **WORKER_GROUP),
)
RAY_JOB = record(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=METADATA,
    spec=record(
        [],
        entrypoint=TEXT,
        backoffLimit=INT32,
        shutdownAfterJobFinishes={"type": "boolean"},
        ttlSecondsAfterFinished=INT32,
        activeDeadlineSeconds={**INT32, "minimum": 1},
        runtimeEnvYAML=TEXT,
        rayClusterSpec=RAY_CLUSTER,
    ),
)
CONFIG_MAP = record(["apiVersion", "kind", "metadata"], apiVersion={"const": "v1"}, kind={"const": "ConfigMap"}, metadata=METADATA, data=TEXTS)
