# shellcheck shell=bash
# What every script here needs. Progress goes to stderr: stdout is data.

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "error: $*"
    exit 3
}

usage_error() {
    say "error: $*"
    exit 2
}

absolute_path() {
    case $1 in
        /*) printf '%s\n' "$1" ;;
        *) printf '%s/%s\n' "$PWD" "$1" ;;
    esac
}
