# SPDX-License-Identifier: GPL-3.0-or-later
# Where things are installed. Relative names are below the prefix.

if(SKBUILD)
    # In a wheel the library lies beside its Python module, data goes to <sys.prefix>/share.
    set(GR_PYTHON_DIR "${SKBUILD_PLATLIB_DIR}")
    set(CMAKE_INSTALL_LIBDIR "${SKBUILD_PLATLIB_DIR}/gnuradio/diffsem")
    set(CMAKE_INSTALL_BINDIR "${SKBUILD_SCRIPTS_DIR}")
    set(CMAKE_INSTALL_DATAROOTDIR "${SKBUILD_DATA_DIR}/share")
    set(CMAKE_INSTALL_INCLUDEDIR "${SKBUILD_DATA_DIR}/include")
endif()
include(GNUInstallDirs)

set(DIFFSEM_DATA_DIR "${CMAKE_INSTALL_DATAROOTDIR}/gr-diffsem")
set(DIFFSEM_GRC_DIR "${CMAKE_INSTALL_DATAROOTDIR}/gnuradio/grc/blocks")
set(DIFFSEM_PYTHON_DIR "${GR_PYTHON_DIR}/gnuradio/diffsem")
set(DIFFSEM_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/gnuradio-diffsem")
set(DIFFSEM_PC_DIR "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

# `name` becomes the absolute form of an install directory.
function(diffsem_absolute name directory)
    if(IS_ABSOLUTE "${directory}")
        set(${name} "${directory}" PARENT_SCOPE)
    else()
        set(${name} "${CMAKE_INSTALL_PREFIX}/${directory}" PARENT_SCOPE)
    endif()
endfunction()

# The way from one install directory to another, so that an installed tree can be moved.
function(diffsem_relative name from to)
    diffsem_absolute(from "${from}")
    diffsem_absolute(to "${to}")
    file(RELATIVE_PATH way "${from}" "${to}")
    set(${name} "${way}" PARENT_SCOPE)
endfunction()
