# SPDX-License-Identifier: GPL-3.0-or-later
"""Heights of buildings on a raster, from GeoJSON or OpenStreetMap's XML.

A height is what `height` says, else three metres for each of `building:levels` (or `levels`), else USUAL.
"""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ..base import regular_file
from ..base.errors import UserError

USUAL = 10.0  #: metres, of a building that does not say
LEVEL = 3.0
MOST_BYTES = 1 << 30


def read(path):
    """[(ring [N, 2] of (longitude, latitude) degrees, height in metres)] of a file. Raises UserError where it holds no
    buildings, or is none of both kinds."""
    if why := regular_file.fault(path):
        raise UserError(f"{path} {why}: give a GeoJSON or OSM file of buildings")
    if Path(path).stat().st_size > MOST_BYTES:
        raise UserError(f"{path} is larger than {MOST_BYTES >> 20} MiB: cut out the part that the samples lie in")
    with open(path, "rb") as file:
        first = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    try:
        rings = _geojson(path) if first == b"{" else _osm(path)
    except (ValueError, ElementTree.ParseError, RecursionError) as error:
        raise UserError(f"{path} is neither GeoJSON nor OSM XML ({str(error)[:80]})") from None
    if not rings:
        raise UserError(f"{path} has no building: no polygon in GeoJSON, no closed way with the tag building in OSM")
    return rings


def raster_of(rings, plane, raster):
    """[rows, columns] metres: the highest building over the middle of each cell, 0 where there is none."""
    from matplotlib.path import Path as Outline

    found, centres = np.zeros((raster.rows, raster.columns)), raster.centres()
    for ring, height in rings:
        metres = plane.to_metres(ring[:, 1], ring[:, 0])
        column = (metres[:, 0] - raster.west) / raster.step
        row = raster.rows - (metres[:, 1] - raster.south) / raster.step
        part = tuple(
            slice(max(int(np.floor(along.min())), 0), max(int(np.ceil(along.max())), 0)) for along in (row, column)
        )
        box = centres[part]
        if box.size:
            inside = Outline(metres).contains_points(box.reshape(-1, 2)).reshape(box.shape[:2])
            found[part] = np.maximum(found[part], height * inside)
    return found


def height_of(tags):
    """Metres of a dict of tags."""
    for key, scale in (("height", 1.0), ("building:height", 1.0), ("building:levels", LEVEL), ("levels", LEVEL)):
        match = re.match(r"\s*(\d+(?:[.,]\d+)?)", str(tags.get(key, "")))
        if match and 0 < float(match[1].replace(",", ".")) * scale < 1000:
            return float(match[1].replace(",", ".")) * scale
    return USUAL


def _geojson(path):
    data = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    found = []
    for feature in data.get("features", [data]) if isinstance(data, dict) else []:
        feature = feature if isinstance(feature, dict) else {}
        shape = feature.get("geometry") or (feature if "coordinates" in feature else {})
        shapes = {"Polygon": lambda c: [c], "MultiPolygon": lambda c: c}.get(shape.get("type"), lambda c: [])
        for polygon in shapes(shape.get("coordinates") or []):
            ring = np.array([point[:2] for point in polygon[0]], float) if polygon else np.empty((0, 2))
            if len(ring) >= 3 and np.all(np.isfinite(ring)):
                found.append((ring, height_of(feature.get("properties") or {})))
    return found


def _osm(path):
    nodes, found = {}, []
    for _, element in ElementTree.iterparse(path):
        if element.tag == "node":
            nodes[element.get("id")] = (float(element.get("lon")), float(element.get("lat")))
        elif element.tag == "way":
            tags = {tag.get("k"): tag.get("v") for tag in element.iter("tag")}
            ring = [nodes[nd.get("ref")] for nd in element.iter("nd") if nd.get("ref") in nodes]
            if tags.get("building", "no") != "no" and len(ring) >= 4 and ring[0] == ring[-1]:
                found.append((np.array(ring), height_of(tags)))
        if element.tag in ("way", "relation"):
            element.clear()
    return found
