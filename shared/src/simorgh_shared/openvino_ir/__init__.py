"""Models as OpenVINO IR: which can be converted, how, and in which precision a processor computes them."""
