"""Processes in which one variant is measured: fresh, alike, nothing of ours on their path."""

import subprocess
import sys
from pathlib import Path

from tests.bench.trees import Tree

MEASURED = Path(__file__).with_name("measured")
#: What Lambda gives a function, as far as any variant looks at it. STAGE is not `local`: there the
#: SDK's parameter validation would stay on.
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "session-token-of-the-function's-role" * 10,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
    "STAGE": "bench",
    "SMS_ENABLED": "true",
    "POWERTOOLS_METRICS_NAMESPACE": "Bench",
    "POWERTOOLS_SERVICE_NAME": "bench",
}


def measure(script: str, tree: Tree, *arguments: str) -> tuple[float, ...]:
    """The numbers that the script writes as its last line."""
    told = run(script, tree, *arguments)
    return tuple(float(word) for word in told.rstrip().rpartition("\n")[2].split())


def run(script: str, tree: Tree, *arguments: str) -> str:
    """What the script writes."""
    command = [sys.executable, "-I", "-S", "-B", str(MEASURED / script), tree.name, str(tree.path)]
    done = subprocess.run(
        [*command, *arguments], check=False, env=ENVIRONMENT, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{script} of {tree.name} failed:\n{done.stderr[-3000:]}")
    return done.stdout
