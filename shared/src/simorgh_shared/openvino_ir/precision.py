"""What a processor computes a model in. Nothing is loaded before it is asked."""

from collections.abc import Mapping

MODEL_FILE = "openvino_model.xml"
PROPERTIES: Mapping[str, Mapping[str, object]] = {
    "f32": {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16"},
    "int8": {},
}
"""What is not said is the device's own choice; a CPU's cache is 8 bits wide then."""


def precision_here(wanted: str) -> str:
    """What this processor computes in: without bf16 units a bf16 model computes in f32."""
    if wanted != "bf16":
        return wanted
    import openvino

    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return wanted if "BF16" in capabilities else "f32"
