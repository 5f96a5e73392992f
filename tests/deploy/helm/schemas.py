"""What Kubernetes takes, by its schemas; what KEDA and the Prometheus operator take, by the fields of their models."""

import ast
import re
import typing
from datetime import datetime
from functools import cache
from importlib.metadata import distribution
from typing import Any

import pydantic
import yaml
from jsonschema import Draft202012Validator
from kubernetes_validate.utils import all_versions, schema_contents
from referencing import Registry, Resource

from tests.deploy.helm.rendering import CHART, Json

_FOLDER = "kubernetes-json-schema/v{version}-local-strict"
_MODELS = {
    "keda.sh/v1alpha1": ("cloudcoil-models-keda", "cloudcoil/models/keda/v1alpha1.py"),
    "monitoring.coreos.com/v1": (
        "cloudcoil-models-prometheus-operator",
        "cloudcoil/models/prometheus_operator/v1.py",
    ),
}


def oldest_supported() -> str:
    """The oldest Kubernetes that the chart lets itself be installed on (Chart.yaml), in its newest patch."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    minor = chart["kubeVersion"].removeprefix(">=").rpartition(".")[0]
    return [version for version in all_versions() if version.startswith(f"{minor}.")][-1]


def newest_known() -> str:
    """The newest one whose schemas are there."""
    return all_versions()[-1]


def complaints(item: Json, version: str) -> list[str]:
    """What that Kubernetes would refuse, unknown fields too; for objects of others, what they would."""
    if item["apiVersion"] not in _MODELS:
        errors = _validator(version, item["kind"], item["apiVersion"]).iter_errors(item)
        return [f"{error.json_path}: {error.message[:300]}" for error in errors]
    if item["kind"] == "ScaledJob":  # what it starts is a Job of Kubernetes'
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {}, "spec": item["spec"]["jobTargetRef"]}
        return complaints(job, version) + _complaints_of_model(item)
    return _complaints_of_model(item)


@cache
def _validator(version: str, kind: str, api_version: str) -> Draft202012Validator:
    folder = _FOLDER.format(version=version)
    group, _, number = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.partition(".")[0], number)))
    schema = schema_contents(f"{folder}/{name}.json", version)
    return Draft202012Validator(schema, registry=_definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    whole = Resource.from_contents(schema_contents(f"{_FOLDER.format(version=version)}/_definitions.json", version))
    registry: Registry[Any] = whole @ Registry()
    return registry


def _complaints_of_model(item: Json) -> list[str]:
    try:
        _model(item["apiVersion"], item["kind"]).model_validate(item)
    except pydantic.ValidationError as error:
        return [f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()]
    return []


class _Strict(pydantic.BaseModel):
    """Refuses fields that it does not know; the packages' own base drops them without a word."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, defer_build=True)


@cache
def _model(api_version: str, kind: str) -> type[pydantic.BaseModel]:
    """The class of an object: its fields are those of the package's, and no others of the package are loaded.

    The packages define hundreds of classes, with a builder each, and take ten seconds.
    """
    package, path = _MODELS[api_version]
    text = distribution(package).locate_file(path).read_text("utf-8")  # type: ignore[attr-defined]
    blocks = re.findall(r"^(class (\w+)\(.*?)(?=^class |\Z)", text, re.MULTILINE | re.DOTALL)
    sources = {name: block for block, name in blocks}
    scope: dict[str, Any] = vars(typing) | {
        "datetime": datetime,
        "Field": pydantic.Field,
        "RootModel": pydantic.RootModel,
        "BaseModel": _Strict,
        "Resource": _Strict,
        "ObjectMeta": dict[str, Any],
        "JobTargetRef": dict[str, Any],
    }
    _define(kind, sources, scope)
    model: type[pydantic.BaseModel] = scope[kind]
    model.model_rebuild(_types_namespace=scope)
    return model


def _define(name: str, sources: dict[str, str], scope: dict[str, Any]) -> None:
    """Define a class after those that its fields speak of."""
    (parsed,) = ast.parse(sources[name]).body
    assert isinstance(parsed, ast.ClassDef)
    parsed.body = [part for part in parsed.body if isinstance(part, ast.AnnAssign)] or [ast.Pass()]
    scope[name] = None  # on the way, should one speak of itself
    for part in ast.walk(parsed):
        if isinstance(part, ast.Name) and part.id in sources and part.id not in scope:
            _define(part.id, sources, scope)
    code = "from __future__ import annotations\n" + ast.unparse(parsed).replace("apimachinery.ObjectMeta", "ObjectMeta")
    exec(compile(code, f"<{name}>", "exec"), scope)
    scope[name].model_rebuild(_types_namespace=scope, raise_errors=False)
