"""Files that hold pictures, as pixels: what ingest trains on and inference answers is read the same way."""
