# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel estimates that Wi-Fi cards log of themselves.

* ``intel5300``  log files of the Intel 5300's CSI tool
* ``feitcsi``    files of FeitCSI (Intel AX200, AX210)
* ``nexmon``     captures (.pcap) of Nexmon's CSI extractor (Broadcom)
* ``card_log``   what is common: which reader a file wants, `CardLog`, and `Looks` of it with their noise

Every reader takes whole records and counts what it left out; a file without one is refused by a sentence.
"""
