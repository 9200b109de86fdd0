/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Marks what the shared library gnuradio-diffsem shows to others.
 */
#pragma once

#include <gnuradio/attributes.h>

#ifdef gnuradio_diffsem_EXPORTS
#define DIFFSEM_API __GR_ATTR_EXPORT
#else
#define DIFFSEM_API __GR_ATTR_IMPORT
#endif
