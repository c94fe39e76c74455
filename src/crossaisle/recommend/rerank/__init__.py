"""From ranked candidates to the list that is shown: filters, caps, the share of other categories, diversity."""
