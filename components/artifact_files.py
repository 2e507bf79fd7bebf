"""The JSON files that one stage writes and others read, as types.

Each file is read and written through its type, so that mypy sees a misspelt key. Standard library only.
"""

# ingest: data.json


# validate: statistics.json


# normalize: data.json


# train: summary.json


# evaluate: metrics.json, corruptions.json, suspects.json


# export: parity.json


# end of the stages' files
