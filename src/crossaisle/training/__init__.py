"""Language models that learn the shop. Only here is torch allowed; serving never needs it."""
