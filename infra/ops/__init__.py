"""The operator's commands: `python -m infra.ops --help`."""
