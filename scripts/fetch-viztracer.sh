#!/usr/bin/env bash
# Prints the directory of VizTracer 1.1.1 for this machine's python3, fetching it on first use: for PYTHONPATH, as tests want it.
# When it cannot be had: one line on stderr that says why, exit 1.
set -euo pipefail

version=$(python3 -c 'import sys, sysconfig; print(sysconfig.get_config_var("SOABI"))') || {
    echo "needs python3" >&2
    exit 1
}
case $version in
    cpython-310-*) sha256=b5b844983b3a288388f06993c736f7f0a381f000ed63496bfe00b4d48f8e694e ;;
    cpython-311-*) sha256=92b27f3be8d956bb04c3c773916a8861a1e4ec0f8001ea736ace168c4f5aeb2c ;;
    cpython-312-*) sha256=9fe032651f59d69d19b1965af814a7e9df979f127357c9a1fdc95dbc8692ffa6 ;;
    cpython-313-*) sha256=1510e2a8edd9f275c9651db63b455cebae16d4c13e22696245e0167fe6436d18 ;;
    cpython-314-*) sha256=cc3a40aeae924d3d0d5e3e48553316672da95773908a3164a8af56a231ce8d9c ;;
    *)
        echo "VizTracer 1.1.1 has no wheel for $version" >&2
        exit 1
        ;;
esac
# Of the very Python: the wheels of others lack this file.
file=$("$(dirname "${BASH_SOURCE[0]}")/fetch-wheel.sh" viztracer 1.1.1 "$sha256" "viztracer/snaptrace.$version.so")
echo "${file%/viztracer/*}"
