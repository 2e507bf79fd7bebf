"""One module per family of export formats: how a file is written."""
