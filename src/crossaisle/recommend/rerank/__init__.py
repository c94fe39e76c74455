"""From ranked candidates to the list that is shown: filters, caps, share, diversity."""
