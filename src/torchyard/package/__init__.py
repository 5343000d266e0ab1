"""Package: a release in the forms that other systems run.

Takes: a release that was opened, and so verified.
Makes: files that need no torchyard.
Never: changes a release, or packages what no gate has judged.
"""

from torchyard.package.onnx import OnnxPackage, package_onnx

__all__ = ["OnnxPackage", "package_onnx"]
