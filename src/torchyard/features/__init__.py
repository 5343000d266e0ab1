"""Features: one fitted ONNX graph that training and serving both run.

Takes: a training split and declared transforms; rows or frames.
Makes: a fitted feature graph; raw columns; feature tensors.
Never: fits on anything but the training split; computes a feature outside the graph.
"""
