"""Several shops learn one model without showing each other their events: updates only."""
