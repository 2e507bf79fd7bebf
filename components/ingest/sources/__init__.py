"""Where images come from: each module is one source (components/ingest/select.py says what it offers)."""
