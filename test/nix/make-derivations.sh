#!/usr/bin/env bash
# Writes test/nix/derivations/ with a real Nix (made with 2.8): the derivations of derivations.nix,
# and the output of `nix show-derivation` for them. The tests read the committed files and need no
# Nix.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../fixtures/private-nix.sh"
export NIX_CONFIG="$NIX_CONFIG
experimental-features = nix-command ca-derivations impure-derivations"

rm -rf "$here/derivations"
mkdir -p "$here/derivations"
drvs=$(nix-instantiate "$here/derivations.nix" | sed 's/!.*//' | sort -u)
for drv in $(nix-store --query --requisites $drvs | grep '\.drv$'); do
  cp "$work/store$drv" "$here/derivations/"
done
chmod -R u+w "$here/derivations"
nix show-derivation -r $drvs > "$here/derivations/show-derivation.json"
