"""Tests that need a GPU: left out where there is none, run by `make test-gpu` where there is one."""

import os

import pytest

from simorgh_inference.devices import has_gpu

HAS_GPU = has_gpu("auto", os.environ)
needs_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not HAS_GPU, reason="no GPU here that torch can use: make test-gpu where there is one"),
]
"""Marks of a module (`pytestmark = needs_gpu`) or, one by one, of a parameter."""
