"""How the OpenAPI document gets its descriptions."""

DESCRIBED = {"use_attribute_docstrings": True}
"""Makes pydantic use the docstrings as descriptions in the OpenAPI document."""
