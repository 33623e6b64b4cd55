#!/usr/bin/env bash
# Writes the compressed samples in this directory with the programs of Debian's packages gzip,
# bzip2, xz-utils, zstd, lz4, lzip and brotli. They are short, so that most changes hit a relevant
# byte.
set -euo pipefail
cd "$(dirname "$0")"
text=$(seq 1 150; printf 'the same again, the same again, and the same again\n%.0s' 1 2 3 4)
lzma() { xz --format=lzma "$@"; }
br() { brotli "$@"; }
for tool in gzip bzip2 xz zstd lz4 lzip lzma br; do
  $tool -c <<<"$text" > "text.$tool"
  printf '' | $tool -c > "empty.$tool"
  { $tool -c <<<one; $tool -c <<<two; } > "two.$tool"
done
rm two.lzma two.br
xz -c --check=none <<<"$text" > unchecked.xz
xz -c --x86 --lzma2 <<<"$text" > filtered.xz
xz -c --arm64 --delta=dist=3 --x86 --lzma2 -C sha256 <<<"$text" > several-filters.xz
xz -c --check=none --lzma2=dict=96MiB <<<"$text" > large-dictionary.xz
bzip2 -1 -c <<<"$text" > small-blocks.bzip2
zstd -c -19 --no-check <<<"$text" > unchecked.zstd
lz4 -c -B4 -BX --no-frame-crc <<<"$text" > blocks.lz4
