# shellcheck shell=bash
# What the setup.sh of the examples share. They source it; it is not run by itself.

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }
pip() { local/venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }

# prepare MINOR [FOLDER]: goes into the folder of the script, and makes `local` there, a
# folder or a link to FOLDER, with a virtual environment of Python 3.MINOR or newer.
# The options are those that each setup.sh has.
prepare() {
    local minor=$1 folder python=${PYTHON:-python3}
    shift
    case "${1:-}" in
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    -*) fail "unknown option $1; see $0 --help" ;;
    esac
    [ $# -le 1 ] || fail "one folder at most; see $0 --help"

    # Relative to where the user stands, not to the script.
    case "${1:-}" in
    "" | /*) folder=${1:-} ;;
    *) folder=$PWD/$1 ;;
    esac
    cd "$(dirname "$0")" || exit

    command -v "$python" >/dev/null ||
        fail "there is no $python; install Python 3.$minor or newer, or name it by PYTHON="
    "$python" -c "import sys; sys.exit(sys.version_info < (3, $minor))" ||
        fail "$("$python" --version) is too old; name Python 3.$minor or newer by PYTHON="
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make environments with pip; on Debian and Ubuntu: apt install python3-venv"

    if [ -n "$folder" ]; then
        mkdir -p "$folder"
        folder=$(cd "$folder" && pwd -P)
        if [ "$folder" != "$PWD/local" ]; then
            [ -L local ] || [ ! -e local ] ||
                fail "$PWD/local is a folder already; remove it first, or leave the argument out"
            ln -sfn "$folder" local
        fi
    elif [ -L local ] && [ ! -e local ]; then
        fail "$PWD/local is a link to $(readlink local), which is gone; remove the link"
    fi
    mkdir -p local
    say "into $(cd local && pwd -P)"

    if ! local/venv/bin/python -m pip --version >/dev/null 2>&1; then
        say "making a virtual environment"
        "$python" -m venv --clear local/venv
    fi
}
