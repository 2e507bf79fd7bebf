"""The export formats, one module each; their names are those of export.formats."""
