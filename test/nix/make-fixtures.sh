#!/usr/bin/env bash
# Writes test/nix/fixtures/ with a real Nix (made with 2.8). The tests read the committed files and
# need no Nix.
set -euo pipefail
out=$(cd "$(dirname "$0")" && pwd)/fixtures
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
export HOME=$work LC_ALL=C NIX_CONF_DIR=$work NIX_CONFIG="extra-experimental-features = nix-command
sandbox = false
substituters =
build-users-group ="
store=$work/root
rm -rf "$out"
mkdir -p "$out/narinfo" "$out/ls"

# A tree with each kind of entry. Its names sort differently by bytes, by UTF-16 and by locale.
mkdir -p tree/{bin,empty-dir,share/doc}
printf '#!/bin/sh\necho hello\n' > tree/bin/hello
chmod +x tree/bin/hello
printf 'eight by' > tree/share/doc/aligned
printf 'text\n' > tree/share/doc/README
: > tree/empty
: > tree/empty-executable
chmod +x tree/empty-executable
ln -s ../share/doc tree/bin/doc
ln -s /nowhere tree/dangling
printf a > tree/Z
printf b > tree/$'\xff\xfe'
printf c > tree/$'\xef\xbf\xbd'
printf d > tree/$'\xf0\x9f\x92\xbe'
printf e > tree/'new
line'
nix-store --dump tree > "$out/tree.nar"
nix-store --dump tree/bin/hello > "$out/executable.nar"
nix-store --dump tree/share/doc/README > "$out/file.nar"
nix-store --dump tree/dangling > "$out/symlink.nar"
nix-store --dump tree/empty-dir > "$out/directory.nar"

# 100 nested directories. Only their hash is kept.
deep=deep
for _ in $(seq 99); do deep=$deep/d; done
mkdir -p "$deep"
printf deep > "$deep/leaf"
nix-hash --type sha256 --base32 deep > "$out/deep.sha256"
nix-store --dump deep | wc -c > "$out/deep.size"

# Content-addressed paths of each kind.
cp -r tree plain
rm plain/$'\xff\xfe'
add() { nix-store --store "$store" "$@"; }
add --add plain > paths
printf 'flat\n' > flat
for type in md5 sha1 sha256 sha512; do
  add --add-fixed $type flat
  add --add-fixed --recursive $type plain
done >> paths
cat > text.nix <<'END'
let
  a = builtins.toFile "text-a" "a";
  b = builtins.toFile "text-b" "b ${a}";
  c = builtins.toFile "text-c" "c ${b} ${a}";
in derivation { name = "sample"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ c ]; }
END
drv=$(nix-instantiate --store "$store" text.nix 2>/dev/null)
add --query --requisites "$drv" >> paths

# Paths that refer to themselves and to others. They are registered under made-up hash parts, and
# then made content-addressed.
text_b=$(grep text-b paths)
text_c=$(grep text-c paths)
place() { # path, contents, references, deriver
  printf '%s' "$2" > "$store$1"
  {
    echo "$1"
    nix-hash --type sha256 "$store$1"
    nix-store --dump "$store$1" | wc -c
    echo "${4-}"
    wc -w <<<"$3"
    for reference in $3; do echo "$reference"; done
  } > registration
  add --load-db < registration
}
self=/nix/store/${drv:11:31}0-self
place "$self" "$self $text_c $text_b" "$self $text_c $text_b"
others=/nix/store/${drv:11:31}1-others
place "$others" "$text_c $text_b" "$text_c $text_b"
alone=/nix/store/${drv:11:31}2-alone
place "$alone" "$alone" "$alone"
for path in "$self" "$others" "$alone"; do
  nix store make-content-addressed --store "$store" --json "$path" | grep -o '/nix/store/[^"]*' | tail -n 1 >> paths
done

sort -u paths -o paths
grep -v '\.drv$' paths > outputs
info() { nix path-info --store "$store" --json "$@" | sed 's/,"registrationTime":[0-9]*//g'; }
info $(cat outputs) > "$out/content-addressed.path-info"
info --derivation "$drv" > "$out/derivation.path-info"

# Files of a binary cache: listings, and signed NARInfo files with and without a deriver and
# references.
nix key generate-secret --key-name fixtures-1 > secret
nix key convert-secret-to-public < secret > "$out/public-key"
built=/nix/store/${drv:11:31}3-built
place "$built" "built $text_b" "$text_b" "$drv"
for compression in xz none; do
  cache="file://$work/cache-$compression?secret-key=$work/secret&compression=$compression&write-nar-listing=1"
  nix copy --from "$store" --to "$cache" $(cat outputs) "$built"
  nix copy --from "$store" --to "$cache" --derivation "$drv"
  for info in cache-$compression/*.narinfo; do
    case $(head -n 1 "$info") in
      *-plain | *-built | *-text-[ac] | *-self | *.drv) cp "$info" "$out/narinfo/$(basename "$info" .narinfo).$compression.narinfo" ;;
    esac
  done
done
plain=$(add --add plain)
cp "cache-none/${plain:11:32}.ls" "$out/ls/plain.ls"
nix-store --dump plain > "$out/ls/plain.nar"
