# SPDX-License-Identifier: GPL-3.0-or-later
# What `cmake --install` puts where, and how to take it away again.
include(CMakePackageConfigHelpers)

# --- data: models, examples ---------------------------------------------------------------------------------
install(DIRECTORY models examples DESTINATION "${DIFFSEM_DATA_DIR}" PATTERN "__pycache__" EXCLUDE)

# --- the Python package and the command ---------------------------------------------------------------------
# Not in the checkout's own environment, which reads the package where it is written.
if(DIFFSEM_TOOLS)
    install(DIRECTORY python/gr_diffsem DESTINATION "${GR_PYTHON_DIR}" PATTERN "__pycache__" EXCLUDE)
    install(FILES scripts/common.sh scripts/requirements-lab.txt DESTINATION "${DIFFSEM_DATA_DIR}/scripts")
    install(PROGRAMS scripts/env.sh DESTINATION "${DIFFSEM_DATA_DIR}/scripts")
    if(NOT SKBUILD) # a wheel makes the command from [project.scripts]
        diffsem_relative(way_to_python "${CMAKE_INSTALL_BINDIR}" "${GR_PYTHON_DIR}")
        configure_file(cmake/gr-diffsem.in gr-diffsem @ONLY)
        install(PROGRAMS "${PROJECT_BINARY_DIR}/gr-diffsem" DESTINATION "${CMAKE_INSTALL_BINDIR}")
    endif()
endif()

# --- the library, its headers, find_package and pkg-config --------------------------------------------------
install(TARGETS gnuradio-diffsem EXPORT gnuradio-diffsemTargets
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
if(NOT SKBUILD)
    install(EXPORT gnuradio-diffsemTargets NAMESPACE gnuradio:: DESTINATION "${DIFFSEM_CMAKE_DIR}")
    # What an older version put there would still be found by its includes.
    install(CODE "file(REMOVE_RECURSE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}/gnuradio/diffsem/core\")")
    install(DIRECTORY include/gnuradio DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")

    configure_package_config_file(cmake/gnuradio-diffsemConfig.cmake.in gnuradio-diffsemConfig.cmake
                                  INSTALL_DESTINATION "${DIFFSEM_CMAKE_DIR}")
    write_basic_package_version_file(gnuradio-diffsemConfigVersion.cmake COMPATIBILITY SameMinorVersion)
    install(FILES "${PROJECT_BINARY_DIR}/gnuradio-diffsemConfig.cmake"
                  "${PROJECT_BINARY_DIR}/gnuradio-diffsemConfigVersion.cmake"
            DESTINATION "${DIFFSEM_CMAKE_DIR}")

    diffsem_absolute(pc_libdir "${CMAKE_INSTALL_LIBDIR}")
    diffsem_absolute(pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
    diffsem_absolute(pc_modelsdir "${DIFFSEM_DATA_DIR}/models")
    configure_file(cmake/gnuradio-diffsem.pc.in gnuradio-diffsem.pc @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/gnuradio-diffsem.pc" DESTINATION "${DIFFSEM_PC_DIR}")
endif()

# --- uninstall ----------------------------------------------------------------------------------------------
if(NOT TARGET uninstall)
    add_custom_target(uninstall COMMAND ${CMAKE_COMMAND} -DMANIFEST=${PROJECT_BINARY_DIR}/install_manifest.txt
                                        -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake)
endif()
