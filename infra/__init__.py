"""Everything around the app that is not shipped to Lambda: deployment, operations, the local cloud."""
