"""How a store gets its tables: numbered migrations in two dialects, each applied once, in order.

To change the schema, add `mNNNN_name.py` with the statements in both dialects, append it to
`apply.MIGRATIONS`, and raise `VERSION` in `store/schema.py`, which also lists tables and indexes.
"""
