# shellcheck shell=bash
# Stripe's own mock server, built from its Go module; it checks requests against Stripe's document.

STRIPE_MOCK_VERSION=v0.203.0
STRIPE_MOCK=$STRIPE_CACHE/stripe-mock-$STRIPE_MOCK_VERSION

stripe_mock_install() {
    [[ ! -x $STRIPE_MOCK ]] || return 0
    need_command go golang-go
    install_needed
    need_version 'Go 1.' 22 'go1\.([0-9]+)' "$(go version)"
    say "building stripe-mock $STRIPE_MOCK_VERSION"
    local work=$STRIPE_CACHE/stripe-mock-build
    mkdir -p "$work"
    # a folder of its own for the sources: nothing of it is left behind
    (cd "$work" && GOBIN=$work GOPATH=$work/go GOTOOLCHAIN=local GOFLAGS='-modcacherw -buildvcs=false' \
        go install "github.com/stripe/stripe-mock@$STRIPE_MOCK_VERSION") >"$work/log" 2>&1 || {
        tail -n 20 "$work/log" >&2
        fail "stripe-mock could not be built, see $work/log"
    }
    mv "$work/stripe-mock" "$STRIPE_MOCK"
    rm -rf "$work"
}
