"""Deploys a stage: `python -m infra.deploy --stage dev`, or `make deploy STAGE=dev`.

One module a step, in this order; each says what it changed, and a second run changes nothing.

    account    who calls, in which account and region
    kept       what a destroyed stage has left of prod's data, as the beginning of the new stack
    stack      infra/template.yaml as a CloudFormation stack: tables, queues, topics, alarms
    project    the package, the policies and the stage's settings as a Chalice project of its own
    functions  `chalice deploy` of that project: functions, roles, schedules, mappings, the API
    mappings   ReportBatchItemFailures, and the functions' knowledge of it; recursion stops
    gateway    answers of API Gateway itself as problem+json with CORS, throttling

The doctor looks at all of it afterwards.
"""
