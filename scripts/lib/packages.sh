# shellcheck shell=bash
# Installs what a script needs and the machine lacks: Debian packages, npm packages, Python packages.
# Usage: need_command psql postgresql-client; need_command mvn maven; install_needed

NEEDED_PACKAGES=()

need_package() {
    [[ " ${NEEDED_PACKAGES[*]} " == *" $1 "* ]] || NEEDED_PACKAGES+=("$1")
}

need_command() {
    local command=$1 package=$2
    command -v "$command" >/dev/null || need_package "$package"
}

# The viewer page is tested in Korean too.
need_korean_font() {
    [[ -n $(fc-list :lang=ko family 2>/dev/null) ]] || need_package fonts-nanum
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo "$@"
    fi
}

can_install() {
    command -v apt-get >/dev/null && { ((EUID == 0)) || command -v sudo >/dev/null; }
}

install_needed() {
    ((${#NEEDED_PACKAGES[@]} > 0)) || return 0
    can_install || fail "missing: ${NEEDED_PACKAGES[*]} (names of Debian packages); install them and try again"
    say "installing ${NEEDED_PACKAGES[*]}"
    apt_install "${NEEDED_PACKAGES[@]}"
    NEEDED_PACKAGES=()
    hash -r
}

# A subshell, so that its trap undoes what it changed however it ends.
apt_install() (
    trap allow_autostart EXIT
    forbid_autostart
    as_root apt-get update -qq >&2
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >&2
)

# Debian starts a daemon when its package is installed, and creates a PostgreSQL cluster.
# Both would take the standard ports and outlive us.
POLICY=/usr/sbin/policy-rc.d
NO_CLUSTER=/etc/postgresql-common/createcluster.d/onair-install.conf
POLICY_IS_OURS=no

forbid_autostart() {
    as_root mkdir -p "${NO_CLUSTER%/*}"
    as_root tee "$NO_CLUSTER" >/dev/null <<<'create_main_cluster = false'
    [[ ! -e $POLICY ]] || return 0
    POLICY_IS_OURS=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
}

allow_autostart() {
    as_root rm -f "$NO_CLUSTER"
    [[ $POLICY_IS_OURS == no ]] || as_root rm -f "$POLICY"
}

# need_version NAME LEAST PATTERN TEXT: the pattern's first group is the major version in the text.
need_version() {
    local name=$1 least=$2 pattern=$3 text=$4
    if ! [[ $text =~ $pattern ]] || ((BASH_REMATCH[1] < least)); then
        fail "$name $least or newer is needed, here is: $text"
    fi
}

# The folders below keep the hash of the file they were installed from, so that a second run does nothing.
up_to_date() {
    local source=$1 stamp=$2
    [[ -f $stamp ]] && sha256sum --check --status "$stamp" && grep -qF "$source" "$stamp"
}

npm_install() {
    local folder
    folder=$(absolute_path "$1")
    local lock=$folder/package-lock.json stamp=$folder/node_modules/.installed-from
    ! up_to_date "$lock" "$stamp" || return 0
    need_command npm npm
    install_needed
    say "installing npm packages in $1"
    (cd "$folder" && npm ci --no-audit --no-fund >&2)
    sha256sum "$lock" >"$stamp"
}

python_install() {
    local folder
    folder=$(absolute_path "$1")
    local requirements=$folder/requirements.txt venv=$folder/.venv
    local stamp=$venv/.installed-from
    ! up_to_date "$requirements" "$stamp" || return 0
    need_command python3 python3
    python3 -c 'import ensurepip' 2>/dev/null || need_package python3-venv
    install_needed
    say "installing Python packages in $1"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements" >&2
    sha256sum "$requirements" >"$stamp"
}
