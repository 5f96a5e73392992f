import simorgh_shared  # noqa: F401  # before OpenVINO and onnxruntime: see there
