# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem radiomap LOG.csv --live`: a page that follows a file while it grows."""

import argparse
import json
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import radio_walk
from gr_diffsem.apps import radiomap, radiomap_live
from gr_diffsem.base.errors import UserError


@pytest.fixture
def options(tmp_path):
    """The command's options for a log that is not there yet, on a free port."""
    parser = argparse.ArgumentParser()
    radiomap.add_arguments(parser)
    words = [str(tmp_path / "log.csv"), "--live", "--port", "0", "--every", "0.2", "--resolution", "25"]
    args = parser.parse_args(words)
    args.method = "kriging"
    return args


def test_a_page_fills_in_while_somebody_walks(tmp_path, options):
    follower, server = radiomap_live.serve(options)
    address = f"http://127.0.0.1:{server.server_address[1]}/"

    def get(path):
        with urllib.request.urlopen(address + path, timeout=5) as answer:
            return answer.read()

    def state(until):
        for _ in range(300):
            said = json.loads(get("state.json"))
            if until(said):
                return said
            time.sleep(0.1)
        raise AssertionError(said)

    try:
        assert b"Radio map" in get("") and b"setTimeout(look, 200)" in get("")
        assert "no such file" in state(lambda said: said["said"] != "no map yet")["said"]
        for path in ("map.png", "../etc/passwd"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                get(path)
        rng = np.random.default_rng(1)
        places = np.stack((np.linspace(0, 400, 60), np.zeros(60)), 1)
        power = radio_walk.field(rng, places)
        radio_walk.write(tmp_path / "log.csv", places[:5], power[:5])
        state(lambda said: "5 samples" in said["said"])
        radio_walk.write(tmp_path / "log.csv", places[:30], power[:30])
        first = state(lambda said: said["updates"] == 1)
        assert first["samples"] == 30 and first["said"] == "" and get("map.png?1")[1:4] == b"PNG"
        radio_walk.write(tmp_path / "log.csv", places, power)
        second = state(lambda said: said["updates"] == 2)
        assert second["samples"] == 60 and {"deviation", "coverage", "seconds", "sites", "model"} <= set(second)
        (tmp_path / "log.csv").write_text("nothing of use\n")  # the last map stays
        assert state(lambda said: said["said"])["samples"] == 60 and get("map.png")
    finally:
        follower.ended.set()
        server.shutdown()
        server.server_close()


def test_a_port_that_is_taken_is_a_sentence(options):
    follower, server = radiomap_live.serve(options)
    try:
        options.port = server.server_address[1]
        with pytest.raises(UserError, match="--port .* cannot be had"):
            radiomap_live.serve(options)
        options.samples = []
        with pytest.raises(UserError, match="--live follows a CSV"):
            radiomap_live.serve(options)
    finally:
        follower.ended.set()
        server.shutdown()
        server.server_close()
