#!/usr/bin/env bash
# Writes test/nix/nix-2.34/ with a real Nix 2.34 (made with 2.34.8) and git: formats that Nix 2.8
# lacks. The tests read the committed files and need neither program. Nix 2.34 must come first in
# PATH:
#   PATH=/where/nix-2.34/is/bin:$PATH test/nix/make-nix-2.34.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$here/nix-2.34
. "$here/../fixtures/private-nix.sh"
export NIX_CONFIG="$NIX_CONFIG
experimental-features = nix-command ca-derivations dynamic-derivations impure-derivations git-hashing blake3-hashes"
case $(nix --version) in *" 2.34."*) ;; *) echo "this needs Nix 2.34, not $(nix --version)" >&2; exit 1 ;; esac
cd "$work"
rm -rf "$out"
mkdir -p "$out/derivations"

# Names that git and NAR sort differently. git sorts a directory as if its name ended in a slash.
mkdir -p sorted/{a,a-b,ab,b/a,b.d}
printf 1 > sorted/a/1
printf 2 > sorted/a-b/2
printf 3 > sorted/ab/3
printf 4 > sorted/a.txt
printf 5 > sorted/a0
chmod +x sorted/a0
printf 6 > sorted/b/a/6
ln -s ../a sorted/b/link
printf 7 > sorted/b-
printf 8 > sorted/b.d/8
: > sorted/empty
nix-store --dump sorted > "$out/sorted.nar"

# The store path and content address of each archive by each method.
cp "$here"/fixtures/{tree,executable,file,symlink,directory}.nar "$out/sorted.nar" .
for nar in tree executable file symlink directory sorted; do
  nix-store --restore "restored-$nar" < "$nar.nar"
  for how in "git sha1" "git sha256" "nar blake3" "flat blake3"; do
    read -r mode algorithm <<< "$how"
    [ "$mode" = flat ] && [ ! -f "restored-$nar" ] && continue
    [ "$mode" = flat ] && [ -L "restored-$nar" ] && continue
    path=$(nix store add --name "$nar" --mode "$mode" --hash-algo "$algorithm" "restored-$nar")
    ca=$(nix path-info --json --json-format 1 "$path" | sed 's/.*"ca":"\([^"]*\)".*/\1/')
    echo "$nar $mode $algorithm $path $ca"
  done
done > "$out/added"

# The object ids that git calculates. A git commit can't contain empty directories, but git has a
# tree object for them.
for format in sha1 sha256; do
  git init -q --object-format=$format repository-$format
  cp -r restored-sorted repository-$format/work
  cd repository-$format
  git add -f work
  echo "sorted $format $(git rev-parse "$(git write-tree):work")"
  echo "directory $format $(git mktree < /dev/null)"
  for nar in file executable; do echo "$nar $format $(git hash-object ../restored-$nar)"; done
  echo "symlink $format $(printf %s "$(readlink ../restored-symlink)" | git hash-object --stdin)"
  cd ..
done > "$out/git-ids"

# Derivations, and the output of `nix derivation show` for them and for those of
# make-derivations.sh.
drvs=$(nix-instantiate "$here/derivations-2.34.nix" | sed 's/!.*//' | sort -u)
cp $(printf "$work/store%s " $drvs) "$out/derivations/"
chmod -R u+w "$out/derivations"
more=$(nix-instantiate "$here/derivations.nix" | sed 's/!.*//' | sort -u)
nix derivation show --no-pretty -r $drvs $more > "$out/derivations/derivation-show.json"

# Signed and unsigned paths of each kind, in both JSON formats.
nix key generate-secret --key-name fixtures-2.34 > secret
text=$(nix eval --raw --expr 'builtins.toFile "text" "text"')
referring=$(nix eval --raw --expr "builtins.toFile \"referring\" \"\${builtins.storePath \"$text\"}\"" --impure)
cat > built.nix <<'END'
derivation { name = "built"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo $out > $out" ]; }
END
built=$(nix-build --no-out-link built.nix)
git=$(nix store add --name tree --mode git --hash-algo sha1 restored-tree)
nix store sign --key-file secret "$built" "$text"
for format in 1 2; do
  nix path-info --json --json-format $format -r "$built" "$referring" "$git" > "$out/path-info-$format.json"
done
