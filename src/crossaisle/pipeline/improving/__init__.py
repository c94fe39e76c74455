"""`tune` and `improve`: better hyper-parameters and parts, chosen and confirmed on validation."""
