"""What surrounds the app and is not shipped to Lambda: deployment, operations, the local cloud."""
