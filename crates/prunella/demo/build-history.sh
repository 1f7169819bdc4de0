#!/bin/sh
# Makes history.fi, the git fast-import stream that the demo imports, from patches/ and series.
#
#   build-history.sh            write history.fi
#   build-history.sh --check    exit 1 when history.fi is not what patches/ and series make
#
# Authors and dates come from the patches and committers equal authors, so the hashes are the same on every machine.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
repo=$work/repo

# Nothing of the caller's git configuration may get into a hash, and no hook's repository be written to.
# shellcheck disable=SC2046  # variable names hold no spaces
unset $(git rev-parse --local-env-vars)
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null LC_ALL=C TZ=UTC
git init -q -b main "$repo"
cd "$repo"

apply() {
    from=$(sed -n 's/^From: //p;/^From: /q' "$1")
    GIT_COMMITTER_NAME=${from% <*} GIT_COMMITTER_EMAIL=$(address "$from") \
        git am -q --keep --committer-date-is-author-date "$1"
}

address() { # of "Ada <ada@shop.example>"
    echo "$1" | sed 's/.*<\(.*\)>/\1/'
}

join() { # branch, author, address, date, subject
    GIT_AUTHOR_NAME=$2 GIT_AUTHOR_EMAIL=$3 GIT_AUTHOR_DATE=$4 \
        GIT_COMMITTER_NAME=$2 GIT_COMMITTER_EMAIL=$3 GIT_COMMITTER_DATE=$4 \
        git merge -q --no-ff -m "$5" "$1" >/dev/null
}

while read -r verb name rest; do
    case $verb in
    '' | '#') ;;
    am) apply "$here/patches/$name" ;;
    fork) git checkout -q -b "$name" "$rest" ;;
    on) git checkout -q "$name" ;;
    tag) git tag "$name" ;;
    merge) # merge BRANCH AUTHOR <ADDRESS> DATE SUBJECT
        author=${rest%% <*} rest=${rest#* }
        mail=${rest%%> *} rest=${rest#*> }
        join "$name" "$author" "${mail#<}" "${rest%% *}" "${rest#* }"
        ;;
    *) echo "series: unknown verb $verb" >&2 && exit 2 ;;
    esac
done <"$here/series"

git checkout -q main
git for-each-ref --format='%(refname:short)' refs/heads | grep -vx main | xargs -r -n1 git branch -q -D
# shellcheck disable=SC2046  # reference names hold no spaces
git fast-export --topo-order --reencode=no refs/heads/main $(git for-each-ref --format='%(refname)' refs/tags) >"$work/history.fi"

if [ "${1:-}" = --check ]; then
    cmp "$work/history.fi" "$here/history.fi" && echo "history.fi is up to date" >&2
else
    mv "$work/history.fi" "$here/history.fi"
    git for-each-ref --format='%(objectname) %(refname)' >&2
fi
