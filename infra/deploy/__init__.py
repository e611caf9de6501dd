"""Deploys a stage: `python -m infra.deploy --stage dev`, or `make deploy STAGE=dev`.

One module a step, in this order; each says what it changed, and a second run changes nothing.

    account          who calls, in which account and region
    template_bucket  the bucket through which the template goes to CloudFormation
    retained_data    prod's data that exist and are in no stack, taken into this one
    stack            infra/template.yaml as a CloudFormation stack: tables, queues, topics, alarms
    indexes          the updates of the stack, when tables in use gain or lose several indexes
    seals            the form of sealed secrets, the older one for one deployment
    project          the package, the policies and the stage's settings as a Chalice project
    functions        `chalice deploy` of it: functions, roles, schedules, mappings, the API
    mappings         ReportBatchItemFailures, and the functions' knowledge of it; recursion stops
    gateway          answers of API Gateway itself as problem+json with CORS, throttling

The doctor looks at all of it afterwards.
"""
