"""What must be true when all is quiet again."""

from tests.simulation import saved, suspensions, worked
from tests.simulation.actors import Play
from tests.simulation.books import Tables
from tests.simulation.evidence import Check, Evidence

CHECKS: tuple[Check, ...] = (
    saved.acknowledged_work_is_saved,
    saved.every_acknowledged_key_has_its_answer,
    saved.user_guard_and_messages_come_together,
    saved.a_key_has_one_effect,
    worked.every_job_ends,
    worked.a_job_fails_only_when_its_attempts_are_used_up,
    worked.a_message_is_skipped_only_when_it_is_not_wanted,
    worked.dead_letters_are_copies_of_failed_jobs,
    worked.done_is_said_only_of_what_was_sent,
    worked.messages_are_repeated_only_in_counted_windows,
    worked.events_in_time_spare_the_repeat,
    worked.without_events_each_window_costs_one_repeat,
    worked.no_event_is_lost,
    worked.what_a_worker_keeps_stays_in_its_queue,
    worked.nobody_changes_a_job_that_another_worker_has,
    worked.no_job_runs_twice_without_a_cause,
    saved.batches_add_up,
    saved.imports_count_the_users_they_made,
    saved.what_follows_a_batch_is_queued_once,
    worked.no_other_tenants_keys_are_touched,
    suspensions.nothing_is_sent_for_a_suspended_tenant,
)


def broken(play: Play, tables: Tables) -> list[str]:
    """Every invariant that does not hold."""
    evidence = Evidence(play, tables)
    return [f"{check.__name__}: {wrong}" for check in CHECKS for wrong in check(evidence)]
