# SPDX-License-Identifier: GPL-3.0-or-later
"""A raster with its place on the Earth: a TIFF of float32 bands with the tags of GeoTIFF 1.1 (OGC 19-008).

The plane of `local_plane` is linear in degrees, so that a raster in metres is one in EPSG:4326 exactly.
"""

from xml.sax.saxutils import escape

import numpy as np

from ..base.errors import UserError

_SCALE, _TIEPOINT, _KEYS, _GDAL, _NODATA = 33550, 33922, 34735, 42112, 42113
#: Version 1.1.0; model type geographic, pixels are areas, EPSG:4326.
_GEO_KEYS = (1, 1, 1, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326)


def write(path, bands, plane, raster):
    """Write {name: [rows, columns] array} as bands of a GeoTIFF, named as GDAL and QGIS show them. Raises UserError
    where the package tifffile is missing; OSError where it cannot be written."""
    try:
        import tifffile
    except ModuleNotFoundError:
        raise UserError("a GeoTIFF is written by the package tifffile: pip install tifffile") from None
    east, north = plane.metres
    top, left = plane.to_degrees(np.array([raster.west, raster.south + raster.rows * raster.step]))
    items = "".join(
        f'<Item name="DESCRIPTION" sample="{i}" role="description">{escape(name)}</Item>'
        for i, name in enumerate(bands)
    )
    tags = [
        (_SCALE, "d", 3, (raster.step / east, raster.step / north, 0.0), True),
        (_TIEPOINT, "d", 6, (0.0, 0.0, 0.0, float(left), float(top), 0.0), True),
        (_KEYS, "H", len(_GEO_KEYS), _GEO_KEYS, True),
        (_GDAL, "s", 0, f"<GDALMetadata>{items}</GDALMetadata>", True),
        (_NODATA, "s", 0, "nan", True),
    ]
    stack = np.stack([np.asarray(band, np.float32) for band in bands.values()])
    tifffile.imwrite(
        path,
        stack,
        photometric="minisblack",
        planarconfig="separate",
        compression="zlib",
        extratags=tags,
        metadata=None,
    )
