"""Images and labels between stages: splits on disk, statistics, and the input pipeline."""
