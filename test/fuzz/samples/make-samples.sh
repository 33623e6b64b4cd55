#!/usr/bin/env bash
# Writes the compressed samples here with gzip, bzip2, xz and zstd: short ones, so that most changes meet something that matters.
set -euo pipefail
cd "$(dirname "$0")"
text=$(seq 1 150; printf 'the same again, the same again, and the same again\n%.0s' 1 2 3 4)
for tool in gzip bzip2 xz zstd; do
  $tool -c <<<"$text" > "text.$tool"
  printf '' | $tool -c > "empty.$tool"
  { $tool -c <<<one; $tool -c <<<two; } > "two.$tool"
done
xz -c --check=none <<<"$text" > unchecked.xz
xz -c --x86 --lzma2 <<<"$text" > filtered.xz
bzip2 -1 -c <<<"$text" > small-blocks.bzip2
zstd -c -19 --no-check <<<"$text" > unchecked.zstd
