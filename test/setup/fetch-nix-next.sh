#!/usr/bin/env bash
# Fetches Nix 2.34 or later from Debian testing, otherwise from sid, into its own cache directory,
# and prints the directory of its programs. Doesn't change the machine's installed packages: it
# unpacks the packages, and runs Nix with the loader and the libraries among them. Needs apt,
# dpkg-deb, flock and Debian's archive keyring, but not root. The cache directory is
# $TVIX_NIX_NEXT_DIR, otherwise tvix-store-web/nix-next in $XDG_CACHE_HOME or ~/.cache. If Nix is
# already there, nothing is fetched.
set -euo pipefail

minimum=2.34
dir=$(realpath -m -- "${TVIX_NIX_NEXT_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/tvix-store-web/nix-next}")
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'nix-next: %s\n' "$*" >&2; }
version() { "$dir/bin/nix" --version 2>/dev/null | sed -n 's/.* //p'; }
is_new() { [ -n "$1" ] && dpkg --compare-versions "$1" ge "$minimum"; }

mkdir -p "$dir"
# Two concurrent runs would overwrite each other's files.
exec 9>"$dir/.lock"
flock 9
if is_new "$(version)"; then
  echo "$dir/bin"
  exit
fi

work=$dir/work
rm -rf "$work"
trap 'rm -rf "$work"' EXIT

# apt with its own state: no package counts as installed, so that it fetches all dependencies of
# Nix, down to libc.
apt_options=(
  -q -o "Dir::State=$work/state" -o "Dir::State::status=$work/state/status" -o "Dir::Cache=$work/cache"
  -o "Dir::Etc::SourceList=$work/sources.list" -o "Dir::Etc::SourceParts=$work/none"
  -o "Dir::Etc::Preferences=$work/none/none" -o "Dir::Etc::PreferencesParts=$work/none" -o APT::Default-Release=
  -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Retries=3
  -o APT::Update::Error-Mode=any -o APT::Sandbox::User=
)

# Downloads nix-bin and its dependencies from a suite (testing, sid) of a mirror, if its version is
# new enough.
download() { # MIRROR SUITE
  rm -rf "$work"
  mkdir -p "$work"/{none,state/lists/partial,cache/archives/partial}
  : >"$work/state/status"
  printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$1" "$2" >"$work/sources.list"
  apt-get "${apt_options[@]}" update &&
    is_new "$(apt-cache "${apt_options[@]}" show --no-all-versions nix-bin | sed -n 's/^Version: //p')" &&
    apt-get "${apt_options[@]}" install -y --no-install-recommends --download-only nix-bin
}

# The mirrors of this machine's own packages, as apt reads them from its sources.
codename=$(. /etc/os-release && printf %s "${VERSION_CODENAME:-}")
mirrors=$(apt-get --print-uris -o Dir::State=/nonexistent update 2>/dev/null |
  sed -n "s|^'\(.*\)/dists/$codename/InRelease' .*|\1|p" | sort -u || true)
[ -n "$mirrors" ] || { say "apt has no source for Debian $codename"; exit 1; }

suite=
for candidate in testing sid; do
  for mirror in $mirrors; do
    if download "$mirror" "$candidate" >"$dir/apt.log" 2>&1; then
      suite=$candidate
      break 2
    fi
    say "no nix-bin $minimum or later in $candidate: $(tail -n 1 "$dir/apt.log")"
  done
done
[ -n "$suite" ] || exit 1

mkdir "$work"/{root,bin,lib,libexec}
for package in "$work"/cache/archives/*.deb; do dpkg-deb -x "$package" "$work/root"; done
loader=$(find "$work/root" -path '*-linux-gnu/ld-linux*.so.*' -print -quit)
nix=$work/root/usr/bin/nix
cp "$nix" "$work/libexec/"
cp -L "$loader" "$work/lib/ld.so"
"$loader" --library-path "${loader%/*}" --list "$nix" | awk -v root="$work/root" 'index($3, root) == 1 { print $3 }' |
  xargs cp -L -t "$work/lib"

# Nix selects its program by the name under which it was started. It would look for its own binary
# beside the loader, and no build would work. NIX_BIN_DIR tells it the right directory.
for name in $(cd "$work/root/usr/bin" && find . \( -lname nix -o -name nix \) -printf '%f\n'); do
  cat >"$work/bin/$name" <<SCRIPT
#!/bin/sh
export NIX_BIN_DIR='$dir/bin'
exec '$dir/lib/ld.so' --argv0 '$name' --library-path '$dir/lib' '$dir/libexec/nix' "\$@"
SCRIPT
  chmod +x "$work/bin/$name"
done
rm -rf "$dir"/{bin,lib,libexec}
mv "$work"/{bin,lib,libexec} "$dir"

is_new "$(version)" || { say "$dir/bin/nix does not run"; exit 1; }
say "Nix $(version) from Debian $suite is in $dir"
echo "$dir/bin"
