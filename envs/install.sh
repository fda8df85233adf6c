#!/bin/sh
# Installs into .venv what the lock files pin: `envs/install.sh` what the workflow needs, `envs/install.sh dev` the tools
# of the tests on top. The Makefile calls it; it can be called again at any time, also after an interruption.
# PYTHON names the interpreter. Where .venv/torch-cpu exists, PyTorch comes without CUDA.
set -eu
cd "$(dirname "$0")/.."

RANGE=$(sed -n 's/^requires-python = "\(.*\)"$/\1/p' pyproject.toml) # >=3.OLDEST,<3.NEXT
OLDEST=$(expr "$RANGE" : '>=3\.\([0-9]*\)')
NEXT=$(expr "$RANGE" : '.*<3\.\([0-9]*\)$')
NEEDS="wsgcn needs 3.$OLDEST to 3.$((NEXT - 1))"
uv=$(command -v uv || true)

fail() {
    echo "$*" >&2
    exit 1
}

# "3.13 is fine", "3.10 is too old", or nothing where no such Python starts.
judge() {
    "$1" -c "import sys; v = sys.version_info[:2]; print('%d.%d is ' % v + \
        ('too old' if v < (3, $OLDEST) else 'too new' if v >= (3, $NEXT) else 'fine'))" 2>/dev/null || true
}

# Sets $python: PYTHON, or the first of the usual names that is in the range; empty where uv is to bring one.
choose_python() {
    first=
    set -- python3 python3.14 python3.13 python3.12 python3.11
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; fi
    for python; do
        verdict=$(judge "$python")
        case $verdict in *fine) return ;; esac
        first=${first:-$verdict}
    done
    python=
    if [ -n "$uv" ] && [ -z "${PYTHON:-}" ]; then return; fi
    if [ -z "$first" ]; then fail "${PYTHON:-python3} does not start: $NEEDS. Name another: PYTHON=python3.13 make"; fi
    fail "Python $first: $NEEDS. Name another: PYTHON=python3.13 make"
}

# Whether .venv is whole and of the Python that is asked for. It then stays, with what users have installed into it.
has_environment() {
    version=$(judge .venv/bin/python)
    case $version in *fine) ;; *) return 1 ;; esac
    if [ -n "${PYTHON:-}" ] && [ "$version" != "$(judge "$PYTHON")" ]; then return 1; fi
    .venv/bin/python -m pip --version >/dev/null 2>&1
}

make_environment() {
    choose_python
    rm -rf .venv/bin .venv/include .venv/lib .venv/lib64 .venv/pyvenv.cfg
    if [ -n "$uv" ]; then
        # --seed brings pip, with which users install plugins.
        "$uv" venv --quiet --allow-existing --seed --python "$(command -v "$python" || echo "$RANGE")" .venv
    elif "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv .venv
    else
        fail "$python cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv. Or install uv."
    fi
}

pip_install() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile "$@"
}

# The entries of a lock file whose names match, or do not: entries '~' 'torch|triton' FILE, entries '!~' uv FILE.
entries() {
    awk -v names="^($2)==" "/^[a-z]/ { keep = \$0 $1 names } /^[a-z ]/ && keep" "$3"
}

# uv is faster than pip. One that is not there yet comes from PyPI, in the version of the lock.
get_uv() {
    if [ -n "$uv" ]; then return; fi
    entries '~' uv envs/lock-dev.txt >.venv/lock-uv.txt
    if pip_install --require-hashes --only-binary :all: --requirement .venv/lock-uv.txt; then uv=.venv/bin/uv; fi
}

# Nothing is compiled to bytecode, since jobs import few of all these modules. CC=true lets immutables, which has no
# wheel for Python 3.14, be installed without its part in C, so that no compiler is needed. Where uv cannot download,
# pip may: it has a configuration of its own, with mirrors and certificates.
install_locked() {
    set -- --no-deps --require-hashes --requirement "$1"
    (
        export CC=true
        [ -n "$uv" ] && "$uv" pip install --quiet --python .venv/bin/python "$@" || pip_install "$@"
    )
}

install_torch_for_cpus() {
    if [ -z "$uv" ]; then fail "TORCH=cpu needs uv, which could not be installed: https://docs.astral.sh/uv"; fi
    # uv knows the index of these builds. Their hashes are not PyPI's, so the lock has none of them.
    "$uv" pip install --quiet --python .venv/bin/python --no-deps --torch-backend cpu \
        $(sed -n 's/^\(torch[a-z]*==[^ ]*\).*/\1/p' envs/lock.txt) ||
        fail "TORCH=cpu takes PyTorch from its own index, not from PyPI: rm -rf .venv, then make without it, takes PyPI's"
}

install_runtime() {
    if [ -e .venv/torch-cpu ]; then size=2; else size=6.5; fi
    echo "Installing into .venv, $size GB with PyTorch: a minute or two, and the download."
    lock=envs/lock.txt
    if [ -e .venv/torch-cpu ]; then
        install_torch_for_cpus
        lock=.venv/lock-cpu.txt
        entries '!~' 'torch|torchvision|triton|cuda-.*|nvidia-.*' envs/lock.txt >$lock
    fi
    install_locked $lock
    pip_install --no-deps --no-build-isolation --editable .
    # What most jobs import is compiled here, also where PYTHONDONTWRITEBYTECODE would let every job compile it again.
    PYTHONDONTWRITEBYTECODE= .venv/bin/python envs/warm_up.py
}

install_dev() {
    install_locked envs/lock-dev.txt
    log=.venv/pydensecrf.log
    pip_install --editable '.[pydensecrf]' >$log 2>&1 || true
    if ! .venv/bin/python -c 'import pydensecrf.densecrf' 2>>$log; then
        echo "No pydensecrf ($log): it needs Python 3.11 or 3.12 and a C++ compiler. Comparisons with it are skipped."
    fi
}

has_environment || make_environment
get_uv
install_${1:-runtime}
