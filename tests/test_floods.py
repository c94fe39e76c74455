"""What `benchmarks/attack.py` sends: of the size that was asked for, and to every operation."""

from __future__ import annotations

import json

import pytest

from benchmarks.floods import WHOLE, Document, attacks, flood

DOCUMENT = {
    "paths": {
        "/api/recommend/{user}": {
            "get": {"parameters": [{"name": "explain", "in": "query"}], "responses": {"200": {}}}
        },
        "/api/events": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Event"}},
                        "application/x-ndjson": {},
                    }
                },
                "responses": {"200": {}, "422": {}},
            }
        },
    },
    "components": {"schemas": {"Event": {"required": ["user"], "properties": {"user": {}, "value": {}}}}},
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_flood_is_about_as_large_as_it_should_be(kind: str) -> None:
    if kind.startswith("deep"):
        assert len(flood(kind, 0)) >= 200_000
        return
    found = flood(kind, 20_000)
    assert 0.8 * 20_000 < len(found) <= 20_000
    json.loads(found.replace(b"9" * 5_000, b"9"))  # Python reads no numbers of so many digits


def test_every_operation_gets_every_flood_and_every_field_odd_values() -> None:
    sent = list(attacks(Document(DOCUMENT, ["1609"], ["1024306"]), 3_000))
    for kind in (*WHOLE, "chunked", "many headers", "many parameters", "long path"):
        operations = {one.operation for one in sent if one.kind == kind}
        assert operations == {"GET /api/recommend/{user}", "POST /api/events"}, kind
    kinds = {one.kind for one in sent if one.operation == "POST /api/events"}
    assert {"nan in value", "surrogates in user", "zeros in value", "NDJSON of lines", "one id"} <= kinds
    assert not any("{" in one.path for one in sent)
    assert all(one.size <= 6_000 for one in sent if not one.kind.startswith(("deep", "one id", "heavy")))
