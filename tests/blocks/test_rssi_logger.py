# SPDX-License-Identifier: GPL-3.0-or-later
"""rssi_logger: what was on the air, where and how strong, is what lies in the files; with receivers of positions that
the test plays."""

import csv
import json
import math
import socket
import threading
import time

import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, gr
from gr_diffsem.base import position_source, positions
from gr_diffsem.radiomap import sample_file

RATE = 8000.0


def sentence(body):
    """A sentence of NMEA with its checksum."""
    value = 0
    for c in body:
        value ^= ord(c)
    return f"${body}*{value:02X}"


def walk(seconds=10):
    """NMEA of a walk north from 51.5 N, 8.25 W, a fix a second, the last two seconds without one."""
    lines = []
    for i in range(seconds):
        valid = "1" if i < seconds - 2 else "0"
        body = f"GPGGA,2359{50 + i % 10:02d}.00,51{30 + 0.01 * i:07.4f},N,00815.0000,W,{valid},08,0.8,10,M,,M,,"
        lines.append(sentence(body))
    return lines


def run(source, logger):
    """Run samples through the block; its messages at `out`."""
    tb, store = gr.top_block(), blocks.message_debug()
    tb.connect(source, logger)
    tb.msg_connect((logger, "out"), (store, "store"))
    tb.run()
    return [pmt.to_python(store.get_message(i)) for i in range(store.num_messages())]


def rows_of(path):
    with open(f"{path}.csv", newline="") as file:
        return list(csv.DictReader(file))


def levels(decibels, each=int(RATE)):
    """Samples of a tone at 1 kHz whose power is so many dB in each second."""
    tone = np.exp(2j * np.pi * 1000 / RATE * np.arange(each))
    return np.concatenate([10 ** (d / 20) * tone for d in decibels]).astype(np.complex64)


def test_power_and_place_of_a_recorded_walk(tmp_path):
    (tmp_path / "walk.nmea").write_text("\n".join(["garbage", *walk()]) + "\n")
    power = -10.0 - np.arange(9)
    gps = f"nmea:{tmp_path / 'walk.nmea'}"
    logger = diffsem.rssi_logger(str(tmp_path / "log"), RATE, calibration=-30, floor=-47.5, gps=gps, cell="7")
    said = run(blocks.vector_source_c(levels(power)), logger)
    rows = rows_of(tmp_path / "log")
    assert [float(row["power"]) for row in rows] == pytest.approx(power - 30, abs=0.01)
    assert [row["censored"] for row in rows] == ["0"] * 8 + ["1"]
    placed = [row for row in rows if row["fix"] == "1"]
    assert len(placed) == 7 and logger.counts() == {"rows": 9, "without_fix": 2, "dropped": 0}
    assert [float(row["latitude"]) for row in placed] == pytest.approx(51.5 + 0.01 / 60 * np.arange(1, 8), abs=1e-6)
    assert float(placed[0]["longitude"]) == -8.25 and float(placed[0]["accuracy"]) == pytest.approx(4.0)
    assert said[0]["value"] == pytest.approx(-40, abs=0.01) and said[0]["fix"] is True
    features = json.loads((tmp_path / "log.geojson").read_text())["features"]
    assert len(features) == 7 and features[0]["properties"]["power"] == pytest.approx(-40, abs=0.01)
    assert features[0]["geometry"]["coordinates"] == [-8.25, pytest.approx(51.5 + 0.01 / 60, abs=1e-6)]
    samples = sample_file.read([tmp_path / "log.csv"], floor=-47.5)  # and the map's command reads it
    assert len(samples) == 7 and samples.named == "power" and set(samples.cell) == {"7"}


def test_only_the_band_is_measured(tmp_path):
    rng = np.random.default_rng(1)
    x = levels([-20.0]) + levels([0.0]) * np.exp(-2j * np.pi * 3000 / RATE * np.arange(int(RATE)))  # 0 dB at -2 kHz
    x = x + 1e-4 * rng.standard_normal(len(x))
    for band, expected in (((500, 1500), -20), ((-2500, -1500), 0), (None, 10 * math.log10(1.01))):
        logger = diffsem.rssi_logger(str(tmp_path / "log"), RATE, band=band)
        run(blocks.vector_source_c(x.astype(np.complex64)), logger)
        assert float(rows_of(tmp_path / "log")[0]["power"]) == pytest.approx(expected, abs=0.1)


def test_a_tag_is_written_in_the_powers_place(tmp_path):
    tags = [gr.tag_utils.python_to_tag((at, pmt.intern("snr"), pmt.from_double(v))) for at, v in ((5, 10.0), (9, 14.0))]
    source = blocks.vector_source_c(levels([0.0, 0.0]), False, 1, tags)
    logger = diffsem.rssi_logger(str(tmp_path / "log"), RATE, tag="snr")
    run(source, logger)
    assert [row["snr"] for row in rows_of(tmp_path / "log")] == ["12.00", ""]


def test_positions_come_as_messages(tmp_path):
    logger = diffsem.rssi_logger(str(tmp_path / "log"), RATE)
    place = {"latitude": 51.5, "longitude": 179.99, "accuracy": 3.0}
    logger.take_position(pmt.cons(pmt.to_pmt(place), pmt.init_u8vector(0, [])))
    run(blocks.vector_source_c(levels([0.0])), logger)
    (row,) = rows_of(tmp_path / "log")
    assert (row["latitude"], row["longitude"], row["accuracy"]) == ("51.5000000", "179.9900000", "3.00")
    for wrong in (pmt.PMT_T, pmt.to_pmt({"latitude": 95.0, "longitude": 1.0}), pmt.to_pmt({"latitude": "x"})):
        logger.take_position(wrong)
        assert not logger._source.at(0)[0].valid


def test_annotations_of_a_recording_are_its_positions(tmp_path):
    where = {"type": "Point", "coordinates": [10.0, 50.0, 3.0]}
    after = {"type": "Point", "coordinates": [10.1, 50.1]}
    said = {
        "global": {"core:geolocation": where},
        "annotations": [{"core:sample_start": 15_000, "core:geolocation": after}],
    }
    (tmp_path / "r.sigmf-meta").write_text(json.dumps(said))
    logger = diffsem.rssi_logger(str(tmp_path / "log"), RATE, gps=f"sigmf:{tmp_path / 'r.sigmf-meta'}")
    run(blocks.vector_source_c(levels([0.0] * 8)), logger)
    latitudes = [float(row["latitude"]) for row in rows_of(tmp_path / "log")]
    assert latitudes == [50.0] + [50.1] * 7


def test_gpsd_is_followed_lost_and_found_again(monkeypatch):
    monkeypatch.setattr(position_source, "AGAIN", 0.05)
    server = socket.create_server(("127.0.0.1", 0))
    asked = []

    def play():
        for latitude in (51.0, 52.0):  # the first connection is lost
            connection, _ = server.accept()
            asked.append(connection.recv(100))
            connection.sendall(b'{"class":"VERSION"}\n{"class":"TPV","mode":3,"lat":%f,"lon":1,"eph":4.9}\n' % latitude)
            if latitude == 51.0:
                connection.close()
        time.sleep(2)
        connection.close()

    threading.Thread(target=play, daemon=True).start()
    source = position_source.open_source(f"gpsd://127.0.0.1:{server.getsockname()[1]}", RATE)
    end = time.monotonic() + 10
    while source.at(0)[0].latitude != 52.0 and time.monotonic() < end:
        time.sleep(0.02)
    fix, age = source.at(0)
    source.close()
    server.close()
    assert fix.valid and fix.latitude == 52.0 and fix.error == pytest.approx(2.0) and age < 5
    assert asked and b"WATCH" in asked[0]


def test_what_receivers_say():
    fix = positions.of_nmea(sentence("GNRMC,120000.50,A,3352.0000,S,15112.6000,E,0.1,,010126,,,A"))
    assert (fix.latitude, fix.longitude) == pytest.approx((-33.866667, 151.21)) and fix.time == 43_200.5
    assert positions.of_nmea("$GPGGA,120000,5130.0,N,00815.0,W,1,08,0.8*00") is None  # wrong checksum
    assert positions.of_nmea(sentence("GPGSV,1,1,00")) is None
    assert not positions.of_nmea(sentence("GPRMC,120000,V,,,,,,,010126")).valid
    assert not positions.of_nmea(sentence("GPGGA,120000,x,N,y,W,1,08,0.8")).valid
    assert positions.of_gpsd("not json") is None and positions.of_gpsd("[1]") is None
    assert not positions.of_gpsd('{"class":"TPV","mode":1}').valid
    assert not positions.of_gpsd('{"class":"TPV","mode":3,"lat":null,"lon":[]}').valid
    past_midnight = positions.track_of_nmea(
        [sentence(f"GPGGA,{clock},5130.0,N,00815.0,W,1,08,0.8,1,M,,M,,") for clock in ("235959.00", "000001.00")]
    )
    assert past_midnight.times == [0, 2]


def test_parameters_are_refused_by_name(tmp_path):
    path = str(tmp_path / "log")
    for words, given in (
        ("rate is 0", {"rate": 0}),
        ("interval is 0", {"interval": 0}),
        ("band is", {"band": (5000, 6000)}),
        ("band is 3", {"band": 3}),
        ("gps is bluetooth", {"gps": "bluetooth"}),
        ("no such file", {"gps": "nmea:/nowhere/x.nmea"}),
        ("port is no number", {"gps": "gpsd://host:x"}),
        ("path is", {"path": "/nowhere/log"}),
    ):
        with pytest.raises(ValueError, match=words):
            diffsem.rssi_logger(**{"path": path, "rate": RATE, **given})
    (tmp_path / "empty.nmea").write_text("$GPGSV\n")
    with pytest.raises(ValueError, match="holds no position"):
        diffsem.rssi_logger(path, RATE, gps=f"nmea:{tmp_path / 'empty.nmea'}")


def test_a_full_disk_does_not_end_a_walk(tmp_path, monkeypatch):
    logger = diffsem.rssi_logger(str(tmp_path / "log"), RATE)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(logger._files, "add", full)
    said = run(blocks.vector_source_c(levels([0.0, -3.0])), logger)
    assert logger.counts() == {"rows": 0, "without_fix": 0, "dropped": 2} and len(said) == 2
