"""A copy of the project that has grown: two domains, five tables and one function more.

One of the domains is made as `docs/add-a-domain.md` says, word for word.
"""

import json
import shutil
from pathlib import Path

from tests import pages

from .package import PROJECT

TRIAL = Path(__file__).with_name("trial")
TABLES = ("Apples", "Pears", "Plums", "Cherries")
FUNCTION = "prune"
_LEFT_OUT = shutil.ignore_patterns(".[!c]*", "deployments", "build", "__pycache__", "tests")
_PAGE = "add-a-domain.md"
_BELOW = "\n\ndef _drain("
_FUNCTION = f'''

@app.lambda_function()
def {FUNCTION}(event: dict[str, Any], context: Any) -> Any:
    """Answer with what was asked."""
    return {{"asked": event}}
'''


def grown(folder: Path, stage: str) -> Path:
    """The copy, with every table in its template and five indexes of each."""
    project = folder / "project"
    shutil.copytree(PROJECT, project, ignore=_LEFT_OUT)
    (project / "chalicelib" / "trial").mkdir()
    for name in ("__init__.py", "jobs.py"):
        shutil.copy(TRIAL / name, project / "chalicelib" / "trial")
    _add_function(project, stage)
    _follow_the_page(project)
    shutil.copy(project / "infra" / "template.yaml", project / "infra" / "without.yaml")
    describe_tables(project, {table: range(5) for table in TABLES})
    return project


def _add_function(project: Path, stage: str) -> None:
    app = project / "app.py"
    above, below = app.read_text().split(_BELOW)
    app.write_text(above + _FUNCTION + _BELOW + below)
    policies = project / "infra" / "policies"
    shutil.copy(policies / "websocket_connect.json", policies / f"{FUNCTION}.json")
    config_file = project / ".chalice" / "config.json"
    config = json.loads(config_file.read_text())
    policy = {"iam_policy_file": f"policies/{stage}/{FUNCTION}.json"}
    config["stages"][stage]["lambda_functions"][FUNCTION] = policy
    config_file.write_text(json.dumps(config))


def _follow_the_page(project: Path) -> None:
    for block in pages.blocks(_PAGE):
        if not block.path.startswith(("tests/", "events/")):
            pages.apply(project, block)


def describe_tables(project: Path, indexes: dict[str, range]) -> None:
    """Writes the template anew: the project's own, and these tables with numbered indexes."""
    own = (project / "infra" / "without.yaml").read_text()
    more = "".join(_table(name, numbers) for name, numbers in indexes.items())
    template = own.replace("\nResources:\n", f"\nResources:\n{more}", 1)
    (project / "infra" / "template.yaml").write_text(template)


def _table(name: str, numbers: range) -> str:
    attributes = ["tenant", "sk", *(f"key_{number}" for number in numbers)]
    definitions = [{"AttributeName": each, "AttributeType": "S"} for each in attributes]
    indexes = [
        {
            "IndexName": f"by_{number}",
            "KeySchema": _keys("tenant", f"key_{number}"),
            "Projection": {"ProjectionType": "ALL"},
        }
        for number in numbers
    ]
    return f"""  {name}Table:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Delete
    UpdateReplacePolicy: Retain
    Properties:
      TableName: !Sub backburner-${{Stage}}-{name.lower()}
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: {json.dumps(definitions)}
      KeySchema: {json.dumps(_keys("tenant", "sk"))}
      GlobalSecondaryIndexes: {json.dumps(indexes)}
"""


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]
