"""The settings of projects; the kernel's are in `kernel/settings.py`."""

from chalicelib.kernel.settings import Section, load


class Settings(Section, frozen=True):
    """Where projects are made, and how patient we are with their providers."""

    default_provider: str = ""  #: used if neither project nor tenant names a provider
    default_region: str = ""  #: region of the default provider
    provisioning_seconds: int = 300  #: longest duration of a run of the workflow
    provision_machine_arn: str = ""  #: the workflow's state machine; the deployment sets it

    provider_connect_seconds: int = 3  #: time-out of connecting to a provider
    provider_read_seconds: int = 10  #: time-out of waiting for a provider's answer
    provider_tries: int = 2  #: tries of a call that is safe to repeat
    provider_ca_file: str = ""  #: file of trusted CA certificates; empty: certifi's

    simulated_regions: str = ""  #: names of simulated regions, comma-separated
    simulated_latency_ms: int = 0  #: duration of a call of a simulated provider
    simulated_calls_per_second: int = 0  #: a simulated provider's limit per process; 0: none
    simulated_failures: int = 0  #: percentage of calls that a simulated provider refuses as busy


settings = load(Settings)
