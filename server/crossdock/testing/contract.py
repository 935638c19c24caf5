"""`AdapterContract`: what every adapter promises, each promise a test that proves it by doing."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from crossdock.testing import conduct, failing, reaching, surface, walks, writing
from crossdock.testing.trial import Trial

_SHORTEST_REASON = 20


class AdapterContract:
    """Subclass it as `TestYours` and set `adapter`, a module's name or a folder.

    `examples` is a file beside the test, `settings` are put over those of the sandbox's account,
    `switches` are the sandbox's. `exempt` maps the name of a check to the reason why it fails here;
    one that is not needed fails itself.
    """

    adapter: ClassVar[str | Path] = ""
    examples: ClassVar[str] = "examples.toml"
    settings: ClassVar[Mapping[str, Any]] = {}
    switches: ClassVar[Mapping[str, Any]] = {}
    exempt: ClassVar[Mapping[str, str]] = {}
    _is_contract: ClassVar[bool] = True

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        for name, reason in cls.exempt.items():
            if not hasattr(AdapterContract, name) or not name.startswith("test_"):
                known = ", ".join(sorted(promises()))
                raise TypeError(f"{cls.__name__}.exempt: no check {name!r}; there are {known}")
            if len(reason.strip()) < _SHORTEST_REASON:
                raise TypeError(
                    f"{cls.__name__}.exempt: say why {name} fails here, in "
                    f"{_SHORTEST_REASON} characters or more"
                )

    # --- what it is --------------------------------------------------------------------------

    def test_check_finds_nothing(self, contract_trial: Trial) -> None:
        _prove(contract_trial, surface.check_is_clean(contract_trial))

    def test_every_tool_has_an_example(self, contract_trial: Trial) -> None:
        _prove(contract_trial, surface.every_tool_has_an_example(contract_trial))

    def test_every_example_sends_exactly_this(self, contract_trial: Trial) -> None:
        _prove(contract_trial, surface.every_example_sends_exactly_this(contract_trial))

    def test_every_example_is_answered(self, contract_trial: Trial) -> None:
        _prove(contract_trial, surface.every_example_is_answered(contract_trial))

    def test_what_removes_is_destructive(self, contract_trial: Trial) -> None:
        _prove(contract_trial, surface.what_removes_is_destructive(contract_trial))

    def test_a_read_changes_nothing(self, contract_trial: Trial) -> None:
        _prove(contract_trial, surface.a_read_changes_nothing(contract_trial))

    # --- arguments ---------------------------------------------------------------------------

    def test_every_argument_reaches_the_wire(self, contract_trial: Trial) -> None:
        _prove(contract_trial, reaching.every_argument_reaches_the_wire(contract_trial))

    def test_a_path_value_is_one_segment(self, contract_trial: Trial) -> None:
        _prove(contract_trial, reaching.a_path_value_is_one_segment(contract_trial))

    def test_unknown_arguments_send_nothing(self, contract_trial: Trial) -> None:
        _prove(contract_trial, reaching.unknown_arguments_send_nothing(contract_trial))

    # --- lists -------------------------------------------------------------------------------

    def test_the_example_of_a_list_says_how_many_there_are(self, contract_trial: Trial) -> None:
        _prove(contract_trial, walks.the_example_of_a_list_says_how_many_there_are(contract_trial))

    def test_a_list_gives_every_record_once(self, contract_trial: Trial) -> None:
        _prove(contract_trial, walks.a_list_gives_every_record_once(contract_trial))

    def test_a_list_has_one_order_at_any_limit(self, contract_trial: Trial) -> None:
        _prove(contract_trial, walks.a_list_has_one_order_at_any_limit(contract_trial))

    def test_no_page_is_longer_than_its_limit(self, contract_trial: Trial) -> None:
        _prove(contract_trial, walks.no_page_is_longer_than_its_limit(contract_trial))

    # --- failures ----------------------------------------------------------------------------

    def test_a_401_is_unauthenticated(self, contract_trial: Trial) -> None:
        _prove(contract_trial, failing.refused_with(contract_trial, 401, "unauthenticated"))

    def test_a_403_is_forbidden(self, contract_trial: Trial) -> None:
        _prove(contract_trial, failing.refused_with(contract_trial, 403, "forbidden"))

    def test_a_404_is_not_found(self, contract_trial: Trial) -> None:
        _prove(contract_trial, failing.refused_with(contract_trial, 404, "not_found"))

    def test_a_422_is_rejected(self, contract_trial: Trial) -> None:
        _prove(contract_trial, failing.refused_with(contract_trial, 422, "upstream_rejected"))

    def test_a_429_is_passed_on_after_one_request(self, contract_trial: Trial) -> None:
        _prove(contract_trial, failing.limited(contract_trial))

    def test_a_500_is_an_upstream_error(self, contract_trial: Trial) -> None:
        _prove(contract_trial, failing.refused_with(contract_trial, 500, "upstream_error"))

    def test_html_is_malformed(self, contract_trial: Trial) -> None:
        html = {"kind": "html"}
        _prove(contract_trial, failing.spoiled(contract_trial, html, "upstream_malformed"))

    def test_an_empty_answer_is_malformed(self, contract_trial: Trial) -> None:
        empty = {"kind": "empty"}
        _prove(contract_trial, failing.spoiled(contract_trial, empty, "upstream_malformed"))

    def test_a_truncated_answer_is_malformed(self, contract_trial: Trial) -> None:
        truncated = {"kind": "truncated"}
        _prove(contract_trial, failing.spoiled(contract_trial, truncated, "upstream_malformed"))

    def test_a_huge_answer_is_too_large(self, contract_trial: Trial) -> None:
        huge = {"kind": "huge"}
        _prove(contract_trial, failing.spoiled(contract_trial, huge, "upstream_too_large"))

    def test_a_redirect_is_not_followed(self, contract_trial: Trial) -> None:
        redirect = {"kind": "redirect"}
        _prove(contract_trial, failing.spoiled(contract_trial, redirect, "upstream_redirect"))

    def test_a_slow_provider_is_a_timeout(self, contract_trial: Trial) -> None:
        _prove(contract_trial, failing.slow(contract_trial))

    def test_a_cut_connection_is_unreachable(self, contract_trial: Trial) -> None:
        _prove(contract_trial, failing.dropped(contract_trial))

    # --- writes ------------------------------------------------------------------------------

    def test_no_write_is_sent_twice(self, contract_trial: Trial) -> None:
        _prove(contract_trial, writing.no_write_is_sent_twice(contract_trial))

    def test_a_write_that_may_have_happened_is_in_doubt(self, contract_trial: Trial) -> None:
        _prove(contract_trial, writing.a_write_that_may_have_happened_is_in_doubt(contract_trial))

    def test_a_read_back_finds_a_lie(self, contract_trial: Trial) -> None:
        _prove(contract_trial, writing.a_read_back_finds_a_lie(contract_trial))

    def test_guards_keep_the_rest(self, contract_trial: Trial) -> None:
        _prove(contract_trial, writing.guards_keep_the_rest(contract_trial))

    # --- conduct -----------------------------------------------------------------------------

    def test_no_credential_shows(self, contract_trial: Trial) -> None:
        _prove(contract_trial, conduct.no_credential_shows(contract_trial))

    def test_credentials_go_to_no_other_host(self, contract_trial: Trial) -> None:
        _prove(contract_trial, conduct.credentials_go_to_no_other_host(contract_trial))

    def test_loading_touches_no_network(self, contract_trial: Trial) -> None:
        _prove(contract_trial, conduct.loading_touches_no_network(contract_trial))

    def test_nothing_stalls_the_loop(self, contract_trial: Trial) -> None:
        _prove(contract_trial, conduct.nothing_stalls_the_loop(contract_trial))

    def test_verify_knows_good_credentials_from_bad(self, contract_trial: Trial) -> None:
        _prove(contract_trial, conduct.verify_knows_good_credentials_from_bad(contract_trial))


def promises() -> list[str]:
    """Return the names of all checks."""
    return [name for name, _ in inspect.getmembers(AdapterContract) if name.startswith("test_")]


def _prove(trial: Trial, check: Any) -> None:
    __tracebackhide__ = True
    trial.bench.run(check)
