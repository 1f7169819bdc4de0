# What .ci/run and scripts/test need, and how to get it. Sourced; needs bash.
# Nothing is installed without saying first what and why.

# Finds cargo, also where the shell was not told of rustup.
need_rust() {
    if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
        export PATH
    fi
    command -v cargo >/dev/null || {
        echo "cargo is missing: install Rust from https://rustup.rs and run this again." >&2
        exit 1
    }
}

# A component of the Rust toolchain: rustfmt, clippy.
need_component() { # name, why
    local program=$1
    [ "$program" = rustfmt ] && program=fmt
    cargo "$program" --version >/dev/null 2>&1 && return
    echo "Installing $1 (rustup component add): $2." >&2
    rustup component add "$1"
}

# A cargo subcommand. Compiling one takes minutes.
need_cargo_tool() { # crate, version, why, further arguments of cargo install
    local crate=$1 version=$2 why=$3
    shift 3
    cargo "${crate#cargo-}" --version >/dev/null 2>&1 && return
    echo "Installing $crate (cargo install, some minutes): $why." >&2
    # A target directory of its own: the project's may be cached or on a small disk.
    env -u CARGO_TARGET_DIR -u CARGO_BUILD_TARGET_DIR cargo install --locked --version "$version" "$@" "$crate"
}

# Programs that the build and the tests start, by the system's package manager.
need_programs() {
    program cc required "gcc libc6-dev" "gcc glibc-devel" "the linker, and to compile SQLite"
    program git required git git "Prunella works on git repositories"
    program python3 required python3 python3 "the services in the tests and in the demo are written in Python"
    program node optional nodejs nodejs "one test runs node inside the sandbox"
    if ! python3 -c 'import sqlite3, http.server' >/dev/null 2>&1; then
        echo "python3 lacks its standard library (sqlite3, http.server): the demo's shop needs it." >&2
        exit 1
    fi
}

program() { # name, required or optional, Debian's packages, Fedora's packages, why
    command -v "$1" >/dev/null && return
    echo "$1 is missing ($2): $5." >&2
    if packages "$3" "$4" && command -v "$1" >/dev/null; then
        return
    fi
    if [ "$2" = optional ]; then
        echo "Going on without $1." >&2
        return 0
    fi
    echo "Install $1 and run this again." >&2
    exit 1
}

# Installs by apt-get or dnf, as root or by a sudo that asks for nothing.
packages() { # Debian's, Fedora's
    local sudo=()
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || return 1
        sudo=(sudo -n)
    fi
    # The lists of packages are words.
    # shellcheck disable=SC2086
    if command -v apt-get >/dev/null; then
        echo "Installing $1 (apt-get)." >&2
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $1 >&2 ||
            { "${sudo[@]}" apt-get -q update >&2 &&
                "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $1 >&2; }
    elif command -v dnf >/dev/null; then
        echo "Installing $2 (dnf)." >&2
        "${sudo[@]}" dnf -y install $2 >&2
    else
        return 1
    fi
}
