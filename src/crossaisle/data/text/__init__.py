"""Text as found in files and queries: control characters, ids, markup, controls written as text."""
