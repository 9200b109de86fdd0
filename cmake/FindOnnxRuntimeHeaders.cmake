# SPDX-License-Identifier: GPL-3.0-or-later
# ONNX Runtime is opened at run time (dlopen), so only its headers are needed to build.
#
# Searched, in this order:
#   ONNXRUNTIME_ROOT (CMake or environment), as unpacked from a release or installed under a prefix
#   find_package(onnxruntime CONFIG)
#   pkg-config libonnxruntime
#   build/deps/onnxruntime/include, where scripts/onnxruntime-headers.sh puts them
#
# Gives the target OnnxRuntime::headers, and ONNXRUNTIME_DEFAULT_LIB: the shared library that is tried
# at run time when the user names none (may be empty: then the usual places are searched at run time).

set(ort_roots "")
foreach(root "${ONNXRUNTIME_ROOT}" "$ENV{ONNXRUNTIME_ROOT}")
    if(root)
        list(APPEND ort_roots "${root}")
        if(NOT EXISTS "${root}")
            message(FATAL_ERROR "ONNXRUNTIME_ROOT is \"${root}\", which does not exist.")
        endif()
    endif()
endforeach()

find_package(onnxruntime CONFIG QUIET)
if(TARGET onnxruntime::onnxruntime)
    get_target_property(ort_config_include onnxruntime::onnxruntime INTERFACE_INCLUDE_DIRECTORIES)
    get_target_property(ort_config_library onnxruntime::onnxruntime LOCATION)
endif()
find_package(PkgConfig QUIET)
if(PKG_CONFIG_FOUND)
    pkg_check_modules(ort_pc QUIET libonnxruntime)
endif()

set(ort_header_names onnxruntime_cxx_api.h)
set(ort_suffixes include onnxruntime include/onnxruntime include/onnxruntime/core/session)
if(ort_roots)
    # A root that was named must serve: anything else would be a silent surprise.
    find_path(OnnxRuntimeHeaders_INCLUDE_DIR ${ort_header_names}
              PATHS ${ort_roots} PATH_SUFFIXES ${ort_suffixes} NO_DEFAULT_PATH)
else()
    find_path(OnnxRuntimeHeaders_INCLUDE_DIR ${ort_header_names}
              HINTS ${ort_config_include} ${ort_pc_INCLUDE_DIRS}
              PATHS "${PROJECT_SOURCE_DIR}/build/deps/onnxruntime/include"
              PATH_SUFFIXES ${ort_suffixes})
endif()

if(NOT OnnxRuntimeHeaders_INCLUDE_DIR)
    message(FATAL_ERROR
        "The headers of ONNX Runtime (1.21 or later) were not found.\n"
        "Searched: ONNXRUNTIME_ROOT (\"${ort_roots}\"), find_package(onnxruntime CONFIG), "
        "pkg-config libonnxruntime, the system's include folders, "
        "${PROJECT_SOURCE_DIR}/build/deps/onnxruntime/include.\n"
        "Remedy, any one of:\n"
        "  - scripts/onnxruntime-headers.sh          (downloads the four headers into build/deps)\n"
        "  - apt install libonnxruntime-dev          (Debian 13 and later)\n"
        "  - cmake -DONNXRUNTIME_ROOT=<unpacked release of github.com/microsoft/onnxruntime> ...")
endif()

file(STRINGS "${OnnxRuntimeHeaders_INCLUDE_DIR}/onnxruntime_c_api.h" ort_version
     REGEX "^#define ORT_API_VERSION [0-9]+")
string(REGEX REPLACE "[^0-9]" "" ort_version "${ort_version}")
if(ort_version LESS 21)
    message(FATAL_ERROR
        "${OnnxRuntimeHeaders_INCLUDE_DIR} is ONNX Runtime 1.${ort_version}; 1.21 or later is needed.\n"
        "Remedy: scripts/onnxruntime-headers.sh, or -DONNXRUNTIME_ROOT=<a later release>.")
endif()

if(NOT TARGET OnnxRuntime::headers)
    add_library(OnnxRuntime::headers INTERFACE IMPORTED)
    set_target_properties(OnnxRuntime::headers PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES "${OnnxRuntimeHeaders_INCLUDE_DIR}")
endif()

# The library, by the same order; last the wheel of the Python that will run the flowgraphs.
if(NOT ONNXRUNTIME_DEFAULT_LIB)
    set(ort_found "")
    foreach(root ${ort_roots})
        file(GLOB ort_files "${root}/lib/libonnxruntime.so" "${root}/lib/*/libonnxruntime.so"
             "${root}/libonnxruntime.so")
        list(APPEND ort_found ${ort_files})
    endforeach()
    if(ort_config_library)
        list(APPEND ort_found "${ort_config_library}")
    endif()
    foreach(directory ${ort_pc_LIBRARY_DIRS} ${ort_pc_LIBDIR})
        file(GLOB ort_files "${directory}/libonnxruntime.so")
        list(APPEND ort_found ${ort_files})
    endforeach()
    # DIFFSEM_VENV: the environment whose Python runs the flowgraphs, when that is not the system's.
    foreach(python "${DIFFSEM_VENV}/bin/python" "${PYTHON_EXECUTABLE}")
        if(EXISTS "${python}")
            execute_process(
                COMMAND "${python}" -c "import importlib.util as u, pathlib as p
for f in p.Path(u.find_spec('onnxruntime').origin).parent.glob('capi/libonnxruntime.so*'): print(f)"
                OUTPUT_VARIABLE ort_files OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
            string(REPLACE "\n" ";" ort_files "${ort_files}")
            list(APPEND ort_found ${ort_files})
        endif()
    endforeach()
    if(ort_found)
        list(GET ort_found 0 ort_found)
    endif()
    set(ONNXRUNTIME_DEFAULT_LIB "${ort_found}" CACHE FILEPATH "libonnxruntime.so that is tried first at run time" FORCE)
endif()

if(NOT OnnxRuntimeHeaders_FIND_QUIETLY)
    message(STATUS "ONNX Runtime headers: ${OnnxRuntimeHeaders_INCLUDE_DIR} (API ${ort_version})")
    if(ONNXRUNTIME_DEFAULT_LIB)
        message(STATUS "ONNX Runtime library, tried first at run time: ${ONNXRUNTIME_DEFAULT_LIB}")
    else()
        message(STATUS "ONNX Runtime library: none here; it is searched at run time")
    endif()
endif()
set(OnnxRuntimeHeaders_FOUND TRUE)
