"""Makes trained encoders smaller, and exports them to ONNX for serving without torch."""
