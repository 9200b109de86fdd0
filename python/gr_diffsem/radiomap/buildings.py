# SPDX-License-Identifier: GPL-3.0-or-later
"""Heights of buildings on a raster, from GeoJSON or OpenStreetMap's XML.

A height is what `height` says, else three metres for each of `building:levels` (or `levels`), else USUAL. Courtyards
(inner rings of a GeoJSON polygon, members `inner` of an OSM multipolygon) are none.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ..base import regular_file
from ..base.errors import UserError

USUAL = 10.0  #: metres, of a building that does not say
LEVEL = 3.0
MOST_BYTES = 1 << 30


@dataclass
class Building:
    """ring: [N, 2] of (longitude, latitude) degrees; height: metres; holes: rings inside that are no building."""

    ring: np.ndarray
    height: float
    holes: tuple = ()


def read(path):
    """[`Building`] of a file. Raises UserError where it holds no
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


def raster_of(buildings, plane, raster):
    """[rows, columns] metres: the highest building over the middle of each cell, 0 where there is none."""
    from matplotlib.path import Path as Outline

    found, centres = np.zeros((raster.rows, raster.columns)), raster.centres()
    for building in buildings:
        metres = plane.to_metres(building.ring[:, 1], building.ring[:, 0])
        column = (metres[:, 0] - raster.west) / raster.step
        row = raster.rows - (metres[:, 1] - raster.south) / raster.step
        part = tuple(
            slice(max(int(np.floor(along.min())), 0), max(int(np.ceil(along.max())), 0)) for along in (row, column)
        )
        box = centres[part]
        if box.size:
            inside = Outline(metres).contains_points(box.reshape(-1, 2))
            for hole in building.holes:
                inside &= ~Outline(plane.to_metres(hole[:, 1], hole[:, 0])).contains_points(box.reshape(-1, 2))
            found[part] = np.maximum(found[part], building.height * inside.reshape(box.shape[:2]))
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
            rings = [np.array([point[:2] for point in ring], float).reshape(-1, 2) for ring in polygon]
            if rings and all(len(ring) >= 3 and np.all(np.isfinite(ring)) for ring in rings):
                found.append(Building(rings[0], height_of(feature.get("properties") or {}), tuple(rings[1:])))
    return found


def _osm(path):
    nodes, ways, found = {}, {}, []
    for _, element in ElementTree.iterparse(path):
        if element.tag == "node":
            nodes[element.get("id")] = (float(element.get("lon")), float(element.get("lat")))
            element.clear()
        elif element.tag == "way":
            refs = [nd.get("ref") for nd in element.iter("nd") if nd.get("ref") in nodes]
            ways[element.get("id")] = refs
            if _is_building(tags := _tags(element)) and _closed(refs):
                found.append(Building(np.array([nodes[ref] for ref in refs]), height_of(tags)))
            element.clear()
        elif element.tag == "relation":
            if _is_building(tags := _tags(element)) and tags.get("type") == "multipolygon":
                parts = {"outer": [], "inner": []}
                for member in element.iter("member"):
                    role = "inner" if member.get("role") == "inner" else "outer"
                    if member.get("type") == "way" and ways.get(member.get("ref")):
                        parts[role].append(ways[member.get("ref")])
                outer, inner = ([np.array([nodes[ref] for ref in ring]) for ring in _rings(parts[k])] for k in parts)
                found += [Building(ring, height_of(tags), tuple(inner)) for ring in outer]
            element.clear()
    return found


def _tags(element):
    return {tag.get("k"): tag.get("v") for tag in element.iter("tag")}


def _is_building(tags):
    return tags.get("building", "no") != "no"


def _closed(refs):
    return len(refs) >= 4 and refs[0] == refs[-1]


def _rings(ways):
    """Closed lists of nodes out of ways that may each be a part of one; what does not close is left out."""
    rest, rings = [list(way) for way in ways if len(way) >= 2], []
    while rest:
        ring = rest.pop()
        while ring[0] != ring[-1]:
            on = next((i for i, way in enumerate(rest) if ring[-1] in (way[0], way[-1])), None)
            if on is None:
                break
            way = rest.pop(on)
            ring += way[1:] if way[0] == ring[-1] else way[-2::-1]
        if _closed(ring):
            rings.append(ring)
    return rings
