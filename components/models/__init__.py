"""Networks: build one by name, save it, count it, predict with it."""
