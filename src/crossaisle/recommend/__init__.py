"""From a query to an explained list."""
