"""Trained encoders made smaller, and written as ONNX for serving without torch."""
