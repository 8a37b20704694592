"""The probes of an idle server answer at once: what the attacks of this folder are held against."""

import pytest


@pytest.mark.flaky(reruns=1)
def test_probes_answer_within_a_tenth_of_a_second(home):
    server = home.serve()
    server.alive()
    assert server.alive() < 0.1
    assert server.stop() == 0
