# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem eval all`: one table of every scheme's claims, what an item cost, and a picture of each."""

import argparse
import json

import pytest
from gr_diffsem.base import jsonio
from gr_diffsem.base.errors import UserError
from gr_diffsem.eval import all_schemes, costs, scheme_runner


def report(*words):
    parser = argparse.ArgumentParser()
    all_schemes.add_arguments(parser)
    return all_schemes.run(parser.parse_args(words))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("all")
    names = ("known_mixture", "mimo_joint", "ofdm_chanest", "jscc")
    said = report("--schemes", *names, "--realisations", "40", "--plot", str(folder / "of.png"))
    return json.loads(jsonio.dumps(said)), said, folder


def test_every_scheme_has_its_claims_with_what_they_cost(measured):
    found = {entry["scheme"]: entry for entry in measured[0]["schemes"]}
    assert list(found) == ["known_mixture", "mimo_joint", "ofdm_chanest", "jscc"]
    for name in ("known_mixture", "mimo_joint", "ofdm_chanest"):
        for claim in found[name]["claims"]:
            assert claim["ours"] is not None and claim["ms_per_item"] > 0 and claim["evaluations"] >= 1
    assert found["ofdm_chanest"]["claims"][0]["macs"] > 1e5
    assert found["mimo_joint"]["claims"][0]["macs"] is None  # closed forms


def test_a_scheme_that_is_not_measured_says_why(measured):
    jscc = measured[0]["schemes"][-1]
    assert jscc["claims"] == [] and "eval semantic_link" in jscc["reason"]


def test_the_table_has_a_verdict_and_a_cost_for_each_claim(measured):
    text = all_schemes.table(measured[1])
    assert "multiply-adds" in text and "jscc: " in text
    count = sum(len(entry["claims"]) for entry in measured[0]["schemes"])
    assert text.splitlines()[-1].startswith(f"{count} claims: ")


def test_each_measured_scheme_has_a_picture(measured):
    names = sorted(path.name for path in measured[2].iterdir())
    assert names == ["of_known_mixture.png", "of_mimo_joint.png", "of_ofdm_chanest.png"]


def test_wrong_names_are_refused():
    with pytest.raises(UserError, match="unknown scheme 'known_mixtur': did you mean 'known_mixture'"):
        report("--schemes", "known_mixtur")


def test_costs_are_those_of_the_middle_call(tmp_path):
    told = costs.Costs(tmp_path / "none.onnx")
    for seconds, evaluations in ((8.0, 2), (1.0, 4), (2.0, 3)):
        told.took("a", 2, seconds, evaluations)
    assert told.of("a") == {"evaluations": 4.0, "macs": None, "ms_per_item": 1000.0}
    assert told.of("b") == {"evaluations": None, "macs": None, "ms_per_item": None}


def test_a_scheme_is_loaded_once_while_kept_and_anew_after(monkeypatch):
    loaded = []
    monkeypatch.setattr(scheme_runner, "_module", lambda: argparse.Namespace(scheme=loaded.append))
    with scheme_runner.kept():
        for _ in range(3):
            scheme_runner._scheme("a")
    assert loaded == ["a"]
    scheme_runner._scheme("a")
    assert loaded == ["a", "a"]
