"""How a store gets its tables: numbered migrations in two dialects, each applied once, in order."""
