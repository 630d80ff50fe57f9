"""Which contract tests monty fails, by the name of the difference that is the reason (see differences.py)."""

from __future__ import annotations

import re

ANY = "any"
"""The test passes, or fails for any one of the differences: for cells as models write them, of which there are many."""

EXPECTED = {
    "surrogates": (
        "test_an_answer_is_made_plain[monty-'\\\\ud800 \\\\x00']",
        "test_code_that_cannot_be_compiled_is_an_error_and_no_more[monty-'\\ud800']",
        "test_a_big_context_is_exact_too[monty]",
        "test_a_text_goes_in_and_comes_out_as_it_is[monty-lone surrogates]",
        "test_a_text_goes_in_and_comes_out_as_it_is[monty-surrogates in a row]",
        "test_any_slice_arrives_as_its_own_bytes[monty]",
        "test_any_value_survives_the_way_in_the_calls_and_the_way_out[monty]",
        "test_printed_text_is_exact[monty-lone surrogates]",
        "test_printed_text_is_exact[monty-surrogates in a row]",
    ),
    "asyncio": (
        "test_gathered_calls_are_under_way_at_the_same_time[monty-as_completed]",
        "test_gathered_calls_are_under_way_at_the_same_time[monty-executor]",
        "test_gathered_calls_are_under_way_at_the_same_time[monty-tasks]",
        "test_gathered_calls_are_under_way_at_the_same_time[monty-to_thread]",
        "test_gathered_calls_are_under_way_at_the_same_time[monty-wait_for]",
        "test_a_call_made_in_one_cell_can_be_awaited_in_the_next[monty]",
        "test_an_accepted_answer_ends_the_cell_wherever_it_is_given[monty-task]",
        "test_an_accepted_answer_ends_the_cell_wherever_it_is_given[monty-to_thread]",
        "test_an_endless_cell_is_stopped_and_the_session_goes_on[monty-stubborn task]",
        "test_no_task_of_a_stopped_cell_wakes_up_in_the_next[monty]",
    ),
    "async-syntax": (
        "test_gathered_calls_are_under_way_at_the_same_time[monty-semaphore]",
        "test_gathered_calls_are_under_way_at_the_same_time[monty-task group]",
    ),
    "callbacks": ("test_gathered_calls_are_under_way_at_the_same_time[monty-mapped]",),
    "await-by-place": ("test_a_reply_that_the_analysis_does_not_follow_can_be_awaited_as_well[monty]",),
    "call-failed": (
        "test_a_failed_call_raises_in_the_cell[monty]",
    ),
    "call-failed-name": (
        "test_llm_query_batched_keeps_the_order_and_harms_only_the_slot_that_failed[monty]",
    ),
    "stand-ins": ("test_a_map_keeps_the_order[monty]",),
    "threads": (
        "test_threads_call_at_the_same_time[monty]",
        "test_an_accepted_answer_ends_the_cell_wherever_it_is_given[monty-busy main]",
        "test_an_accepted_answer_ends_the_cell_wherever_it_is_given[monty-pool]",
        "test_an_accepted_answer_ends_the_cell_wherever_it_is_given[monty-thread]",
        "test_an_error_in_a_thread_is_shown_in_short[monty]",
        "test_sleeping_and_waiting_still_work[monty]",
        "test_a_job_given_to_an_older_pool_prints_into_the_cell_that_gave_it[monty]",
        "test_a_late_reply_does_not_reach_the_next_cell[monty]",
        "test_an_endless_cell_is_stopped_and_the_session_goes_on[monty-lock]",
        "test_an_endless_cell_is_stopped_and_the_session_goes_on[monty-pool]",
        "test_an_endless_cell_is_stopped_and_the_session_goes_on[monty-thread]",
        "test_nothing_of_a_stopped_cell_appears_later[monty]",
        "test_work_beside_a_waiting_call_counts[monty]",
    ),
    "generators": ("test_an_accepted_answer_ends_the_cell_wherever_it_is_given[monty-generator]",),
    "modules": (
        "test_an_accepted_answer_ends_the_cell_wherever_it_is_given[monty-suppress]",
        "test_an_endless_cell_is_stopped_and_the_session_goes_on[monty-suppress]",
        "test_stderr_and_warnings_are_shown_with_stdout[monty]",
        "test_chance_depends_on_the_seed_only[monty]",
    ),
    "namespaces": (
        "test_an_answer_is_made_plain[monty-__import__('decimal').Decimal(0]",
        "test_an_answer_is_made_plain[monty-__import__('decimal').Decimal(1]",
        "test_an_answer_is_made_plain[monty-__import__('numpy').arange(3)]",
        "test_an_answer_is_made_plain[monty-__import__('numpy').bool_(True]",
        "test_an_answer_is_made_plain[monty-__import__('numpy').float64(1.]",
        "test_an_answer_is_made_plain[monty-__import__('pandas').DataFrame]",
        "test_an_answer_is_made_plain[monty-__import__('pandas').Series([1]",
        "test_the_line_of_variables_is_bounded[monty]",
    ),
    "numpy": (
        "test_contexts_of_many_types_arrive_as_text_or_json[monty]",

        "test_the_clock_stands_still[monty]",
        "test_a_memory_bomb_is_an_error_and_the_session_goes_on[monty-numpy]",
    ),
    "inheritance": (
        "test_pydantic_models_are_rebuilt[monty]",
        "test_returns_becomes_a_schema_and_the_reply_the_type[monty-Colour]",
        "test_what_is_no_data_is_refused_in_the_session[monty-object()]",
        "test_wrong_arguments_are_explained_and_nothing_is_asked[monty-recursive_llm('q', object())-pass a str]",
        "test_listing_variables_runs_no_code_of_theirs[monty]",
        "test_a_memory_bomb_is_an_error_and_the_session_goes_on[monty-many tiny objects]",
        "test_an_endless_cell_is_stopped_and_the_session_goes_on[monty-while its error is described]",
    ),
    "type-statement": ("test_returns_becomes_a_schema_and_the_reply_the_type[monty-Literal['a', 'b']]",),
    "returns-classes": ("test_returns_becomes_a_schema_and_the_reply_the_type[monty-Person]",),
    "del": (
        "test_variables_stay_and_reserved_names_are_restored[monty]",
        "test_calls_still_work_after_a_memory_error[monty]",
    ),
    "builtins": ("test_a_memory_bomb_is_an_error_and_the_session_goes_on[monty-bytearray]",),
    "world": (
        "test_a_cell_that_ends_its_process_is_reported_as_died[monty-abort]",
        "test_a_cell_that_ends_its_process_is_reported_as_died[monty-ignored interrupt]",
        "test_a_cell_that_ends_its_process_is_reported_as_died[monty-interrupt blocked]",
        "test_a_cell_that_ends_its_process_is_reported_as_died[monty-kill itself]",
        "test_a_cell_that_ends_its_process_is_reported_as_died[monty-os._exit]",
        "test_a_cell_that_ends_its_process_is_reported_as_died[monty-segfault]",
        "test_a_cell_that_ends_its_process_is_reported_as_died[monty-stop itself]",
    ),
    "recursion-limit": ("test_a_cell_that_ends_its_process_is_reported_as_died[monty-stack overflow]",),
    "other-limits": (
        "test_a_cell_that_ends_its_process_is_reported_as_died[monty-endless C code]",
        "test_a_bomb_is_an_error_in_the_cell[monty-deep recursion of literals]",
        "test_an_endless_cell_is_stopped_and_the_session_goes_on[monty-regular expression]",
    ),
    "time-and-memory": (
        "test_a_stopped_cell_says_where_it_was_and_keeps_its_output[monty]",
        "test_errors_of_the_host_end_the_cell_and_leave_the_session_usable[monty]",
    ),
    "syntax-errors": ("test_a_syntax_error_has_line_and_caret[monty]",),
    ANY: ("test_a_cell_as_a_model_writes_it",),
}  # fmt: skip

BY_CHANCE = ("test_any_slice_arrives_as_its_own_bytes", "test_any_value_survives_the_way_in_the_calls_and_the_way_out")
"""Tests with examples by chance, which need not meet the difference."""

_BY_TEST = {test: name for name, tests in EXPECTED.items() for test in tests}


def difference_of(node: str) -> str | None:
    """The difference for which the test with this id is to fail on monty; None when it is to pass."""
    test = re.sub(r"^.*?\.py::", "", node)
    if "[monty" not in test:
        return None
    return _BY_TEST.get(test) or _BY_TEST.get(test.partition("[")[0])
