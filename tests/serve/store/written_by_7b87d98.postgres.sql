-- A store of version 1, written by an earlier version of crossaisle (7b87d98) and kept as text: its statements for tables, and its rows.
CREATE TABLE IF NOT EXISTS store_version (version BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key TEXT UNIQUE,
    "user" TEXT NOT NULL,
    item TEXT NOT NULL,
    kind TEXT NOT NULL,
    time DOUBLE PRECISION NOT NULL,
    value DOUBLE PRECISION,
    quantity DOUBLE PRECISION
);
CREATE INDEX IF NOT EXISTS events_by_user ON events ("user");
CREATE TABLE IF NOT EXISTS items (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pictures (
    id TEXT PRIMARY KEY,
    digest BYTEA NOT NULL,
    address TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    vector BYTEA NOT NULL,
    content BYTEA NOT NULL
);
CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS forgotten (digest BYTEA PRIMARY KEY);
CREATE TABLE IF NOT EXISTS api_keys (
    digest BYTEA PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, revoked BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS experiments (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS exposures (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    experiment TEXT NOT NULL,
    arm TEXT NOT NULL,
    "user" TEXT NOT NULL,
    time DOUBLE PRECISION NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS exposures_by_experiment ON exposures (experiment, seq);
CREATE INDEX IF NOT EXISTS exposures_by_user ON exposures ("user");
CREATE TABLE IF NOT EXISTS changes (
    what TEXT NOT NULL, name TEXT NOT NULL, seq BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (what, name)
);
CREATE INDEX IF NOT EXISTS changes_by_seq ON changes (seq);
CREATE TABLE IF NOT EXISTS audit (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, time DOUBLE PRECISION NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL
);
INSERT INTO store_version ("version") VALUES (1);
INSERT INTO events ("seq", "key", "user", "item", "kind", "time", "value", "quantity") OVERRIDING SYSTEM VALUE VALUES (1, 'order-1-line-1', 'ann', 'bread', 'purchase', 1764000000.0, 2.5, 2.0);
INSERT INTO events ("seq", "key", "user", "item", "kind", "time", "value", "quantity") OVERRIDING SYSTEM VALUE VALUES (2, 'order-1-line-2', 'ann', 'jam', 'purchase', 1764000000.0, 3.25, 1.0);
INSERT INTO events ("seq", "key", "user", "item", "kind", "time", "value", "quantity") OVERRIDING SYSTEM VALUE VALUES (3, NULL, 'bob', 'bread', 'view', 1764000100.5, NULL, NULL);
INSERT INTO events ("seq", "key", "user", "item", "kind", "time", "value", "quantity") OVERRIDING SYSTEM VALUE VALUES (4, NULL, 'bob', 'bread', 'view', 1764000100.5, NULL, NULL);
INSERT INTO events ("seq", "key", "user", "item", "kind", "time", "value", "quantity") OVERRIDING SYSTEM VALUE VALUES (5, 'k;''5', 'zoë 你好?', 'käse 100 %', 'cart', 1764000200.0, NULL, 3.0);
SELECT setval(pg_get_serial_sequence('events', 'seq'), (SELECT max(seq) FROM events));
INSERT INTO items ("id", "body") VALUES ('jam', '{"in_stock": false}');
INSERT INTO items ("id", "body") VALUES ('käse', '{"title": "Käse 100 % 你好?; ''x''"}');
INSERT INTO items ("id", "body") VALUES ('rye', '{"title": "Rye bread", "price": 4.5, "categories": [["Bakery", "Bread"]]}');
INSERT INTO pictures ("id", "digest", "address", "fingerprint", "vector", "content") VALUES ('rye', '\x92b2fa58028958317e408bd84ecfa70f5ee35b121991dbc232c49d166353708b'::bytea, 'https://shop.example/rye.png', 'encoder-1', '\xcd3866ba'::bytea, '\x89504e470d0a1a0a0027'::bytea);
INSERT INTO users ("id", "body") VALUES ('ann', '{"city": "Ghent", "club": true}');
INSERT INTO users ("id", "body") VALUES ('bob', '{"note": "it''s"}');
INSERT INTO forgotten ("digest") VALUES ('\x85262adf74518bbb70c7cb94cd6159d91669e5a81edf1efebd543eadbda9fa2b'::bytea);
INSERT INTO api_keys ("digest", "name", "scopes", "revoked") VALUES ('\x10f755cf4e14143507fc518319df6f2e5fbd1bfc04facc86e8defafd207f46f2'::bytea, 'reports', 'read', 1);
INSERT INTO api_keys ("digest", "name", "scopes", "revoked") VALUES ('\x8922700f50d97876a83de76251e6d4a08291fbb2c4db023a5fbc0793ed70feb8'::bytea, 'webshop', 'read,write', 0);
INSERT INTO experiments ("id", "body") VALUES ('old', '{"name": "old", "kind": "interleaving", "placement": "for_you", "arms": [{"name": "a", "weight": 1.0, "model": null, "weights": null, "controls": {"share": null, "diversity": null, "quota": null, "exclude_seen": null}, "explore": null}, {"name": "b", "weight": 1.0, "model": null, "weights": {"popularity": 1.0}, "controls": {"share": null, "diversity": null, "quota": null, "exclude_seen": null}, "explore": null}], "goal": ["view"], "metric": "count", "window_hours": 24.0, "started": 1763000000.0, "stopped": 1763900000.0}');
INSERT INTO experiments ("id", "body") VALUES ('shares', '{"name": "shares", "kind": "ab", "placement": "for_you", "arms": [{"name": "a", "weight": 1.0, "model": null, "weights": null, "controls": {"share": null, "diversity": null, "quota": null, "exclude_seen": null}, "explore": null}, {"name": "b", "weight": 2.0, "model": null, "weights": null, "controls": {"share": 0.5, "diversity": null, "quota": null, "exclude_seen": null}, "explore": 1.5}], "goal": ["cart", "purchase"], "metric": "conversion", "window_hours": 24.0, "started": 1763999000.0, "stopped": null}');
INSERT INTO exposures ("seq", "experiment", "arm", "user", "time", "body") OVERRIDING SYSTEM VALUE VALUES (1, 'shares', 'b', 'ann', 1763999500.0, '[["jam", "bread"], [0.75, 0.5], 0.6666666666666666, ["bread", "jam"], []]');
INSERT INTO exposures ("seq", "experiment", "arm", "user", "time", "body") OVERRIDING SYSTEM VALUE VALUES (2, 'old', '', 'bob', 1763500000.0, '[["bread", "jam"], [], 1.0, [], [0, 1]]');
SELECT setval(pg_get_serial_sequence('exposures', 'seq'), (SELECT max(seq) FROM exposures));
INSERT INTO changes ("what", "name", "seq", "body") VALUES ('experiment', 'shares', 3, '');
INSERT INTO changes ("what", "name", "seq", "body") VALUES ('experiment', 'old', 4, '');
INSERT INTO changes ("what", "name", "seq", "body") VALUES ('forgotten', '85262adf74518bbb70c7cb94cd6159d91669e5a81edf1efebd543eadbda9fa2b', 6, '');
INSERT INTO changes ("what", "name", "seq", "body") VALUES ('item', 'käse', 2, '');
INSERT INTO changes ("what", "name", "seq", "body") VALUES ('item', 'rye', 1, '');
INSERT INTO changes ("what", "name", "seq", "body") VALUES ('item', 'jam', 1, '');
INSERT INTO changes ("what", "name", "seq", "body") VALUES ('model', '', 5, '{"active": "models/b", "previous": "models/a", "run": "run-1"}');
INSERT INTO audit ("seq", "time", "who", "what") OVERRIDING SYSTEM VALUE VALUES (1, 1764000400.0, 'webshop', 'deleted person 85262adf74518bbb, 1 events');
INSERT INTO audit ("seq", "time", "who", "what") OVERRIDING SYSTEM VALUE VALUES (2, 1764000500.0, 'local', 'deleted item ''soap''');
SELECT setval(pg_get_serial_sequence('audit', 'seq'), (SELECT max(seq) FROM audit));
