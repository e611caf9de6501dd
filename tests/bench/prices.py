"""What AWS asks, for the estimates. Written down on 2026-11-22; an estimate, not an offer.

On-demand list prices of us-east-1 in US dollars without any free tier, from memory of AWS's price
pages and not read from them that day: look at https://aws.amazon.com/pricing/ before you rely on
a sum. Other regions ask up to a fifth more (eu-central-1). Not in here: traffic out, the price of
an SMS itself (it differs by country), support, taxes.
"""

DATED = "2026-11-22"
REGION = "us-east-1"
MILLION = 1_000_000

WRITE_UNIT = 0.625 / MILLION  #: DynamoDB, on demand
READ_UNIT = 0.125 / MILLION
SQS_CALL = 0.40 / MILLION
LAMBDA_CALL = 0.20 / MILLION
LAMBDA_GB_SECOND = 0.0000166667  #: x86
API_CALL = 3.50 / MILLION  #: API Gateway, REST
MAIL = 0.10 / 1_000  #: SES
LOG_BYTE = 0.50 / 1_000_000_000  #: CloudWatch Logs, taken in

ALARM_MONTH = 0.10
COMPOSITE_ALARM_MONTH = 0.50
METRIC_MONTH = 0.30
DASHBOARD_MONTH = 3.00

#: What is assumed and not measured here.
REQUEST_SECONDS = 0.030  #: of a warm request on AWS: mostly waiting for DynamoDB and SQS
JOB_BATCH_SECONDS = 0.400  #: of ten jobs side by side: mostly waiting for SES
REQUEST_GB = 1.0  #: memory of api_handler, by .chalice/config.json
WORKER_GB = 0.5
SWEEP_GB = 1.0
LOG_BYTES = 900  #: a request's or job's two lines
JOBS_IN_BATCH = 10  #: full batches: under load, which is when the sum matters
HOURS_IN_MONTH = 730
POLLERS_OF_MAPPING = 5  #: long polls of 20 s that Lambda keeps open on an idle queue
METRICS = 60  #: series that a small deployment makes: routes times their counts
