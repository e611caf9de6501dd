"""The doctor: `python -m infra.doctor --stage dev` looks at a stage and says what is wrong.

It compares the account with the template and with the physics of queues, changes nothing, and
names for each finding the page of AWS that tells more. Each check is a function in one of

    resources   what the template describes is there, as it describes it
    functions   Lambda: package, settings, roles, mappings
    concurrency what Lambda runs at a time, and what of it is kept free for the API
    sending     SES and SNS: out of the sandbox, quotas against the configured rates
"""
