# SPDX-License-Identifier: GPL-3.0-or-later
"""Radio maps: measured power at positions, and what it is likely to be elsewhere.

* ``sample_file``    a CSV of a phone or of the block ``rssi_logger`` -> `Samples`; all that may be wrong with one
* ``local_plane``    latitude and longitude <-> metres east and north; the raster that a map is drawn on
* ``sites``          samples that lie together as one site, with the uncertainty that their number leaves
* ``visits``         how wrong positions are, from places that were visited again
* ``kriging``        Gaussian process: mean, deviation and draws, censored samples by expectation propagation
* ``shadows``        the loss behind roofs as a trend of kriging, and the transmitter that samples elect
* ``expected_maps``  a map that no sample has told of
* ``simple_maps``    inverse distance, and log-distance with a transmitter that is known or found
* ``buildings``      their heights on a raster, from GeoJSON or OpenStreetMap
* ``map_units``      what a network of maps is shown
* ``city_samples``   samples of a traced city, to train it and to measure it
* ``geotiff``        a raster with its place on the Earth
"""
