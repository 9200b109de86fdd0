# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of samples as phones write them, with all that may be wrong; `radiomap` and `eval radiomap` from end to end."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import radio_walk
from gr_diffsem.apps import cli
from gr_diffsem.base.errors import UserError
from gr_diffsem.eval import map_methods
from gr_diffsem.radiomap import buildings, local_plane, sample_file

DATA = Path(os.environ.get("DIFFSEM_DATA") or Path(__file__).parents[3] / "shared" / "data") / "drive_test"


@pytest.fixture(scope="module")
def walk():
    """(places [300, 2], power [300]) of a walk with three turns."""
    rng = np.random.default_rng(1)
    corners = np.array([[0, 0], [400, 0], [400, 300], [0, 300], [0, 500]], float)
    at = np.linspace(0, 4, 300)
    places = np.stack([np.interp(at, range(5), corners[:, i]) for i in (0, 1)], 1) + rng.normal(0, 1, (300, 2))
    return places, np.round(radio_walk.field(rng, places) + rng.normal(0, 1, 300), 1)


def command(capsys, *words):
    """(exit code, what stands on stdout, on stderr) of `gr-diffsem WORDS`."""
    code = cli.main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("names", "mark"),
    [
        (("Latitude", "Longitude", "RSRP"), ","),
        (("GPS Latitude [deg]", "GPS Longitude [deg]", "Signal_Strength (dBm)"), ";"),
        (("lat", "lng", "RSSI"), "\t"),
    ],
)
def test_columns_are_guessed(tmp_path, walk, names, mark):
    path = radio_walk.write(tmp_path / "walk.csv", *walk, names=names, mark=mark)
    samples = sample_file.read([path])
    assert len(samples) == 300 and samples.value == pytest.approx(walk[1]) and samples.named == names[2]


def test_rows_that_are_no_samples_are_counted(tmp_path, walk):
    places, power = walk[0][:20], list(walk[1][:20])
    power[3], power[4], power[5] = "nan", "-", "Infinity"
    fix = [1] * 18 + [0, 0]
    path = radio_walk.write(tmp_path / "walk.csv", places, power, more=[("fix", fix)])
    with open(path, "a") as file:
        file.write("0,0,-90,1\n,,-90,1\n91,400,-90,1\n\n")
    samples = sample_file.read([path])
    assert len(samples) == 15
    assert samples.skipped == {
        "without a value": 3,
        "without a fix of the position": 2,
        "without a position": 2,
        "with a position that is not on the Earth": 1,
    }


def test_what_a_floor_hides_is_a_bound(tmp_path, walk):
    power = list(walk[1][:20])
    power[0], power[1] = -200, ""
    censored = ["no", "yes", *["no"] * 18]
    path = radio_walk.write(tmp_path / "walk.csv", walk[0][:20], power, more=[("censored", censored)])
    samples = sample_file.read([path], floor=-130.0)
    assert samples.censored.tolist() == [True, True, *[False] * 18] and samples.value[:2].tolist() == [-130, -130]
    assert len(sample_file.read([path])) == 19  # without a floor an empty value is none


def test_a_file_that_cannot_be_used_is_a_sentence(tmp_path, walk):
    def refused(text, words, **told):
        path = tmp_path / "file.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(UserError, match=words):
            sample_file.read([path], told)

    refused("", "is empty")
    refused("lat,lon,rsrp\n", "no rows")
    refused("a,b,c\n1,2,3\n", "names no latitude .*--latitude")
    refused("lat,lon,c\n1,2,3\n", "names no value .*--value")
    refused("lat,lon,rsrp\n1,2,3\n", "no column 'rsr' for --value: did you mean 'rsrp'", value="rsr")
    refused(b"\x89PNG\0\0\0\r\n\0\0", "is no CSV file")
    refused("lat,lon,rsrp\n-118.2,34.05,-90\n", "swapped")
    refused("lat,lon,rsrp\nx,y,z\n", "1 rows without a position")
    refused("lat,lon,rsrp,fix\n51,-8,-90,0\n", "1 rows without a fix")
    with open(tmp_path / "huge.csv", "wb") as file:
        file.truncate(sample_file.MOST_BYTES + 1)
    with pytest.raises(UserError, match="larger than 4 GiB"):
        sample_file.read([tmp_path / "huge.csv"])
    with pytest.raises(UserError, match="there is no such file"):
        sample_file.read([tmp_path / "none.csv"])


def test_maps_that_cannot_be_made_are_sentences(tmp_path, walk, capsys):
    places, power = walk

    def refused(words, at, value, *more):
        path = radio_walk.write(tmp_path / "walk.csv", at, value)
        code, out, error = command(capsys, "radiomap", path, "--out", tmp_path / "map", *more)
        assert code == 2 and not out and words in error.splitlines()[-1], error
        assert "Traceback" not in error and not list(tmp_path.glob("map*"))

    refused("9 samples with a position", places[:9], power[:9])
    refused("1 place(s)", np.repeat(places[:1], 10, 0), power[:10])
    refused("at the floor", places, power, "--floor", "0")
    refused("km apart", np.r_[places, [[9e6, 0.0]]], np.r_[power, -90])
    refused("--resolution 0.01", places, power, "--resolution", "0.01")
    refused("--only 7: the samples name no cells", places, power, "--only", "7")
    refused("km from the nearest sample", places, power, "--transmitter", "1.5,2.5")
    elsewhere = tmp_path / "elsewhere.geojson"
    elsewhere.write_text(geojson(radio_walk.MIDDLE, [[90_000.0, 0], [90_040, 0], [90_040, 40]]))
    refused("no building lies where the samples are", places, power, "--buildings", elsewhere)
    refused("40 rows without a value", places[:40], np.full(40, np.nan))
    refused("--transmitter 91,200,3", places, power, "--transmitter", "91,200,3")
    refused("unknown method", places, power, "--method", "krigging")
    refused("--draws", places, power, "--method", "idw", "--draws", "2")
    refused("there is no folder", places, power, "--out", tmp_path / "nowhere" / "map")


def test_a_map_without_samples_needs_what_it_is_made_of(tmp_path, capsys):
    plane = radio_walk.MIDDLE
    (tmp_path / "far.geojson").write_text(geojson(plane, [[9000.0, 0], [9040, 0], [9040, 40]]))
    where = f"{plane.latitude},{plane.longitude}"
    words = ["--buildings", tmp_path / "far.geojson", "--transmitter", where, "--power", "30"]
    for more, expected in (
        ((), "no CSV of samples: give one, or --buildings, --transmitter and --power"),
        (words[:4], "no CSV of samples"),
        ((*words, "--method", "kriging"), "without samples a map is made by map_conditional"),
        ((*words, "--live"), "--live follows a CSV"),
    ):
        code, out, error = command(capsys, "radiomap", *more, "--out", tmp_path / "map")
        assert code == 2 and not out and expected in error.splitlines()[-1], error
    if "map_conditional" in map_methods.names():
        code, _, error = command(capsys, "radiomap", *words, "--out", tmp_path / "map")
        assert code == 2 and "no building lies within" in error
        (tmp_path / "near.geojson").write_text(geojson(plane, [[30.0, 10], [80, 10], [80, 60]]))
        words[1] = tmp_path / "near.geojson"
        words += ["--area", "300", "--out", tmp_path / "map", "--json"]
        code, out, error = command(capsys, "radiomap", *words)
        assert code == 0 and json.loads(out)["samples"] == 0, error
        assert (tmp_path / "map.png").stat().st_size > 10_000


def geojson(plane, corners):
    """The text of one building, its corners in metres of the plane."""
    latitude, longitude = plane.to_degrees(np.array(corners, float))
    ring = np.stack((longitude, latitude), 1).tolist()
    return json.dumps({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})


def test_positions_are_judged_by_places_that_were_visited_again(tmp_path, walk, capsys):
    path = radio_walk.write(tmp_path / "walk.csv", np.r_[walk[0], walk[0]], np.r_[walk[1], walk[1] + 0.5])
    words = ["radiomap", path, "--out", tmp_path / "map", "--resolution", "10", "--json"]
    code, out, error = command(capsys, *words)
    assert code == 0 and 0 <= json.loads(out)["gps_error_metres"] < 50 and "visited again" in error
    code, out, _ = command(capsys, *words, "--gps-error", "4")
    assert code == 0 and json.loads(out)["gps_error_metres"] is None


def test_a_map_over_the_date_line(tmp_path, walk, capsys):
    plane = local_plane.Plane(-17.8, 179.9985)
    path = radio_walk.write(tmp_path / "walk.csv", *walk, plane=plane)
    code, out, _ = command(capsys, "radiomap", path, "--out", tmp_path / "map", "--resolution", "10", "--json")
    said = json.loads(out)
    assert code == 0 and said["columns"] < 70 and said["rows"] < 80


def test_a_map_from_end_to_end(tmp_path, walk, capsys):
    tifffile = pytest.importorskip("tifffile")
    path = radio_walk.write(tmp_path / "walk.csv", *walk)
    words = ["--resolution", "8", "--draws", "3", "--threshold", "-90", "--gps-error", "3", "--json"]
    code, out, error = command(capsys, "radiomap", path, "--out", tmp_path / "map", *words)
    said = json.loads(out)
    assert code == 0, error
    assert said["samples"] == 300 and said["sites"] < 300 and "sites of 8 m" in error
    bands = tifffile.imread(tmp_path / "map.tif")
    assert bands.shape == (6, said["rows"], said["columns"]) and np.isfinite(bands).all()
    mean, deviation, coverage = bands[:3]
    assert ((coverage > 0.5) == (mean > -90)).all() and said["coverage"] == pytest.approx(coverage.mean(), abs=1e-4)
    assert deviation.min() < 0.6 * deviation.max()
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_ten_samples_make_a_map(tmp_path, walk, capsys):
    path = radio_walk.write(tmp_path / "walk.csv", walk[0][::30], walk[1][::30])
    code, out, error = command(capsys, "radiomap", path, "--out", tmp_path / "map", "--resolution", "20")
    assert code == 0 and "map.tif" in out, error


def test_buildings_are_read(tmp_path):
    plane = radio_walk.MIDDLE
    corners = np.array([[20.0, 20], [60, 20], [60, 50], [20, 50], [20, 20]])
    latitude, longitude = plane.to_degrees(corners)
    ring = np.stack((longitude, latitude), 1).tolist()
    raster = local_plane.Raster(0.0, 0.0, 10.0, 8, 8)
    expected = np.zeros((8, 8))
    expected[3:6, 2:6] = 1
    feature = {
        "type": "Feature",
        "properties": {"height": "18 m"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    (tmp_path / "b.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    nodes = "".join(f'<node id="{i}" lat="{p[1]}" lon="{p[0]}"/>' for i, p in enumerate(ring[:4]))
    refs = "".join(f'<nd ref="{i}"/>' for i in (0, 1, 2, 3, 0))
    tags = '<tag k="building" v="yes"/><tag k="building:levels" v="6"/>'
    (tmp_path / "b.osm").write_text(f'<osm>{nodes}<way id="1">{refs}{tags}</way></osm>')
    for name in ("b.geojson", "b.osm"):
        heights = buildings.raster_of(buildings.read(tmp_path / name), plane, raster)
        assert np.array_equal(heights, 18 * expected)
    # A courtyard, and a ring of two ways, is no building where it is open.
    latitude, longitude = plane.to_degrees(np.array([[35.0, 25], [45, 25], [45, 35], [35, 35], [35, 25]]))
    hole = np.stack((longitude, latitude), 1).tolist()
    feature["geometry"]["coordinates"] = [ring, hole]
    (tmp_path / "c.geojson").write_text(json.dumps(feature))
    both = "".join(f'<node id="{i}" lat="{p[1]}" lon="{p[0]}"/>' for i, p in enumerate(ring[:4] + hole[:4]))
    ways = {"1": (0, 1, 2), "2": (0, 3, 2), "3": (4, 5, 6, 7, 4), "4": (1, 2)}
    lines = "".join(
        f'<way id="{name}">' + "".join(f'<nd ref="{i}"/>' for i in refs) + "</way>" for name, refs in ways.items()
    )
    members = "".join(
        f'<member type="way" ref="{name}" role="{role}"/>'
        for name, role in (("1", "outer"), ("2", "outer"), ("3", "inner"), ("9", "outer"))
    )
    tags = '<tag k="type" v="multipolygon"/><tag k="building" v="yes"/><tag k="height" v="18"/>'
    (tmp_path / "c.osm").write_text(f'<osm>{both}{lines}<relation id="5">{members}{tags}</relation></osm>')
    for name in ("c.geojson", "c.osm"):
        heights = buildings.raster_of(buildings.read(tmp_path / name), plane, raster)
        assert heights[3:6, 2:6].sum() < 18 * 12 and heights.max() == 18 and heights[0].sum() == 0, heights
        assert (heights[4, 3:5] == 0).any() or (heights[5, 3:5] == 0).any()
    for name, text in (("e.geojson", '{"features": []}'), ("e.osm", "<osm></osm>")):
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match="has no building"):
            buildings.read(tmp_path / name)
    for text in ("<osm>", "{", "text"):
        (tmp_path / "e").write_text(text)
        with pytest.raises(UserError, match="neither GeoJSON nor OSM"):
            buildings.read(tmp_path / "e")


def test_an_evaluation_of_a_walk(tmp_path, walk, capsys):
    cells = [("CellID", np.where(np.arange(300) < 200, "7", "8"))]
    path = radio_walk.write(tmp_path / "walk.csv", *walk, more=cells)
    words = ["--value", "RSRP", "--block", "60", "--methods", "kriging,idw,log_distance", "--json"]
    code, out, error = command(capsys, "eval", "radiomap", path, *words)
    said = json.loads(out)
    assert code == 0, error
    assert set(said) == {"cells", "heldout", "methods"} and said["cells"] == 2
    assert set(said["methods"]) == {"kriging", "idw", "log_distance"}
    for scores in said["methods"].values():
        assert set(scores) == {"rmse_db", "coverage90"} and 0 < scores["rmse_db"] < 12
    code, out, _ = command(capsys, "eval", "radiomap", path, "--block", "60", "--methods", "idw")
    assert code == 0 and "2 cells" in out
    for more, expected in (
        (["--block", "1e5"], "give less"),
        (["--site", "1000"], "no cell"),
        (["--methods", ","], "names none"),
    ):
        code, _, error = command(capsys, "eval", "radiomap", path, *more)
        assert code == 2 and expected in error.splitlines()[-1]


def test_on_a_real_drive_kriging_beats_the_simple_ones(capsys):
    files = sorted(DATA.glob("*.csv"))[:30]
    if not files:
        pytest.skip("no drive_test in DIFFSEM_DATA")
    words = ["--cells", "3", "--methods", "kriging,idw,log_distance", "--json"]
    code, out, error = command(capsys, "eval", "radiomap", *files, *words)
    methods = json.loads(out)["methods"]
    assert code == 0, error
    assert methods["kriging"]["rmse_db"] < methods["idw"]["rmse_db"] < methods["log_distance"]["rmse_db"]
    assert 0.85 < methods["kriging"]["coverage90"] < 0.97
