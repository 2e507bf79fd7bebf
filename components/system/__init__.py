"""The machine and the process: TensorFlow's import, memory, child processes, files."""
