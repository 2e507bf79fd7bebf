"""The review of labels: one suspected image after another, with keys to keep its label, to correct it or to drop it."""
