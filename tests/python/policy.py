"""Runs policy directories in onnxruntime, and in numpy on what safetensors reads, and compares with our own actions.

Usage: policy.py FOLDER...: each holds policy/, observation.f32 and descriptor.f32, and actions.f32, which illume computed.
"""

import json
import os
import sys

import numpy as np
import onnxruntime
from safetensors.numpy import load_file


def by_hand(said, tensors, observation, descriptor):
    """The documented formulas in double precision."""
    x = observation.astype(float)
    if said["normalization"]:
        clip = said["normalization"]["clip"]
        x = np.clip((x - tensors["observation_mean"]) / tensors["observation_sd"], -clip, clip)
    if said["descriptor"]:
        lower, upper = np.array([[axis["lower"], axis["upper"]] for axis in said["descriptor"]]).T
        assert np.array_equal(tensors["descriptor_lower"], lower.astype("f4"))
        assert np.array_equal(tensors["descriptor_upper"], upper.astype("f4"))
        x = np.concatenate([x, (2 * descriptor - lower - upper) / (upper - lower)], axis=1)
    layers = len(said["architecture"]["layers"]) - 1
    for layer in range(layers):
        x = x @ tensors[f"layers.{layer}.weight"].T.astype(float) + tensors[f"layers.{layer}.bias"]
        relu = layer + 1 < layers and said["architecture"]["hidden_activation"] == "relu"
        x = np.maximum(x, 0) if relu else np.tanh(x)
    assert not any(name.startswith(f"layers.{layers}.") for name in tensors)
    return x


def by_onnx(path, observation, descriptor):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [o.name for o in session.get_outputs()] == ["action"]
    inputs = {"observation": observation, "descriptor": descriptor}
    inputs = {i.name: inputs[i.name] for i in session.get_inputs()}
    assert ("descriptor" in inputs) == (descriptor.shape[1] > 0)
    together = session.run(None, inputs)[0]
    one = session.run(None, {name: values[:1] for name, values in inputs.items()})[0]
    assert np.abs(one - together[:1]).max() < 1e-6, "a batch of one"
    return together


largest = 0
for folder in sys.argv[1:]:
    policy = os.path.join(folder, "policy")
    said = json.load(open(os.path.join(policy, "policy.json")))
    assert (said["format"], said["format_version"]) == ("illume-policy", 1)
    values = lambda name, columns: np.fromfile(os.path.join(folder, name), dtype="f4").reshape(-1, columns)
    observation = values("observation.f32", said["observation"])
    k = len(said["descriptor"])
    descriptor = values("descriptor.f32", k) if k else np.zeros((len(observation), 0), "f4")
    expected = values("actions.f32", said["action"])
    tensors = load_file(os.path.join(policy, "policy.safetensors"))
    for name, got in [
        ("safetensors", by_hand(said, tensors, observation, descriptor)),
        ("onnx", by_onnx(os.path.join(policy, "policy.onnx"), observation, descriptor)),
    ]:
        assert got.shape == expected.shape
        difference = np.abs(got - expected).max()
        assert difference < 1e-5, f"{folder}: {name} differs by {difference}"
        largest = max(largest, difference)
print(f"{len(sys.argv) - 1} policies act alike, within {largest:.1e}")
