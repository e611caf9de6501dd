"""Events: something has happened in one domain, and jobs of other domains follow from it.

    tx.publish("people.changed", person_id=person.id)          in the service of people

    @job(on="people.changed")                                  in chalicelib/projects/jobs.py
    def follow_person(context: Context, *, person_id: str) -> None: ...

`publish` puts one job for each subscriber into the transaction of the change, so an event is as
safe as the change itself, and its subscribers may run twice, later, and in any order. Whoever
publishes knows no subscriber. Who subscribes stands in the manifest: no domain is imported to find
out.
"""

from chalicelib import manifest


def subscribers(event: str) -> tuple[str, ...]:
    """The names of the jobs that subscribe to the event; none for an event that nobody awaits."""
    return dict(manifest.EVENTS).get(event, ())
