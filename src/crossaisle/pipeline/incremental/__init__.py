"""New events are added to a fitted model, without a full fit."""
