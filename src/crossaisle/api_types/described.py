"""Where the descriptions in the OpenAPI document come from."""

DESCRIBED = {"use_attribute_docstrings": True}
"""Makes pydantic use attribute docstrings as descriptions in the OpenAPI document."""
