-- A store of version 1, written by an earlier version of crossaisle (7b87d98) and kept as text: Python's `iterdump`.
BEGIN TRANSACTION;
CREATE TABLE api_keys (
    digest BLOB PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, revoked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO "api_keys" VALUES(X'10F755CF4E14143507FC518319DF6F2E5FBD1BFC04FACC86E8DEFAFD207F46F2','reports','read',1);
INSERT INTO "api_keys" VALUES(X'8922700F50D97876A83DE76251E6D4A08291FBB2C4DB023A5FBC0793ED70FEB8','webshop','read,write',0);
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL
) STRICT;
INSERT INTO "audit" VALUES(1,1764000400.0,'webshop','deleted person 85262adf74518bbb, 1 events');
INSERT INTO "audit" VALUES(2,1764000500.0,'local','deleted item ''soap''');
CREATE TABLE changes (
    what TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (what, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "changes" VALUES('experiment','old',4,'');
INSERT INTO "changes" VALUES('experiment','shares',3,'');
INSERT INTO "changes" VALUES('forgotten','85262adf74518bbb70c7cb94cd6159d91669e5a81edf1efebd543eadbda9fa2b',6,'');
INSERT INTO "changes" VALUES('item','jam',1,'');
INSERT INTO "changes" VALUES('item','käse',2,'');
INSERT INTO "changes" VALUES('item','rye',1,'');
INSERT INTO "changes" VALUES('model','',5,'{"active": "models/b", "previous": "models/a", "run": "run-1"}');
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT UNIQUE,
    "user" TEXT NOT NULL,
    item TEXT NOT NULL,
    kind TEXT NOT NULL,
    time REAL NOT NULL,
    value REAL,
    quantity REAL
) STRICT;
INSERT INTO "events" VALUES(1,'order-1-line-1','ann','bread','purchase',1764000000.0,2.5,2.0);
INSERT INTO "events" VALUES(2,'order-1-line-2','ann','jam','purchase',1764000000.0,3.25,1.0);
INSERT INTO "events" VALUES(3,NULL,'bob','bread','view',1764000100.5,NULL,NULL);
INSERT INTO "events" VALUES(4,NULL,'bob','bread','view',1764000100.5,NULL,NULL);
INSERT INTO "events" VALUES(5,'k;''5','zoë 你好?','käse 100 %','cart',1764000200.0,NULL,3.0);
CREATE TABLE experiments (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "experiments" VALUES('old','{"name": "old", "kind": "interleaving", "placement": "for_you", "arms": [{"name": "a", "weight": 1.0, "model": null, "weights": null, "controls": {"share": null, "diversity": null, "quota": null, "exclude_seen": null}, "explore": null}, {"name": "b", "weight": 1.0, "model": null, "weights": {"popularity": 1.0}, "controls": {"share": null, "diversity": null, "quota": null, "exclude_seen": null}, "explore": null}], "goal": ["view"], "metric": "count", "window_hours": 24.0, "started": 1763000000.0, "stopped": 1763900000.0}');
INSERT INTO "experiments" VALUES('shares','{"name": "shares", "kind": "ab", "placement": "for_you", "arms": [{"name": "a", "weight": 1.0, "model": null, "weights": null, "controls": {"share": null, "diversity": null, "quota": null, "exclude_seen": null}, "explore": null}, {"name": "b", "weight": 2.0, "model": null, "weights": null, "controls": {"share": 0.5, "diversity": null, "quota": null, "exclude_seen": null}, "explore": 1.5}], "goal": ["cart", "purchase"], "metric": "conversion", "window_hours": 24.0, "started": 1763999000.0, "stopped": null}');
CREATE TABLE exposures (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment TEXT NOT NULL,
    arm TEXT NOT NULL,
    "user" TEXT NOT NULL,
    time REAL NOT NULL,
    body TEXT NOT NULL
) STRICT;
INSERT INTO "exposures" VALUES(1,'shares','b','ann',1763999500.0,'[["jam", "bread"], [0.75, 0.5], 0.6666666666666666, ["bread", "jam"], []]');
INSERT INTO "exposures" VALUES(2,'old','','bob',1763500000.0,'[["bread", "jam"], [], 1.0, [], [0, 1]]');
CREATE TABLE forgotten (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
INSERT INTO "forgotten" VALUES(X'85262ADF74518BBB70C7CB94CD6159D91669E5A81EDF1EFEBD543EADBDA9FA2B');
CREATE TABLE items (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "items" VALUES('jam','{"in_stock": false}');
INSERT INTO "items" VALUES('käse','{"title": "Käse 100 % 你好?; ''x''"}');
INSERT INTO "items" VALUES('rye','{"title": "Rye bread", "price": 4.5, "categories": [["Bakery", "Bread"]]}');
CREATE TABLE pictures (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    address TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    vector BLOB NOT NULL,
    content BLOB NOT NULL
) STRICT;
INSERT INTO "pictures" VALUES('rye',X'92B2FA58028958317E408BD84ECFA70F5EE35B121991DBC232C49D166353708B','https://shop.example/rye.png','encoder-1',X'CD3866BA',X'89504E470D0A1A0A0027');
CREATE TABLE users (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "users" VALUES('ann','{"city": "Ghent", "club": true}');
INSERT INTO "users" VALUES('bob','{"note": "it''s"}');
CREATE INDEX events_by_user ON events ("user");
CREATE INDEX exposures_by_experiment ON exposures (experiment, seq);
CREATE INDEX exposures_by_user ON exposures ("user");
CREATE INDEX changes_by_seq ON changes (seq);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',6);
INSERT INTO "sqlite_sequence" VALUES('exposures',3);
COMMIT;
PRAGMA user_version=1;
PRAGMA journal_mode=WAL;
