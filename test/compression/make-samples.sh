#!/usr/bin/env bash
# Makes samples/: what gzip, bzip2, xz and zstd make of the numbers from 1 to 25000, a line each. One stream, several, and with the
# checks and sizes that their formats leave to the writer. And 16 MiB of zeros, which become little.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
rm -rf samples && mkdir samples && cd samples

seq 1 25000 >numbers
head -n 12000 numbers >first
tail -n +12001 numbers >second

gzip -9nc numbers >numbers.gz
# Blocks of 100 kB, so that there are two.
bzip2 -1c numbers >numbers.bz2
xz -9c numbers >numbers.xz
xz -9c --check=crc32 numbers >crc32.xz
# Without a size in the frame, and with one; with and without a checksum.
zstd -q19c <numbers >numbers.zst
zstd -q19c --no-check numbers >unchecked.zst

{ bzip2 -9c first; bzip2 -9c second; } >several.bz2
{ xz -9c first; head -c 8 /dev/zero; xz -9c second; head -c 4 /dev/zero; } >several.xz
# With a frame that is to be skipped, of 5 bytes.
{ zstd -q19c first; printf '\x53\x2a\x4d\x18\x05\x00\x00\x00skip!'; zstd -q19c <second; } >several.zst

for tool in "gzip -9n" "bzip2 -9" "xz -9" "zstd -q19"; do
  suffix=${tool%% *}
  head -c $((16 * 1024 * 1024)) /dev/zero | $tool -c >"zeros.$suffix"
done

# How the NAR of a file of 2^48 bytes begins, for something to follow.
printf '%b' '\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0' '\x01\0\0\0\0\0\0\0(\0\0\0\0\0\0\0' '\x04\0\0\0\0\0\0\0type\0\0\0\0' \
  '\x07\0\0\0\0\0\0\0regular\0' '\x08\0\0\0\0\0\0\0contents' '\0\0\0\0\0\0\x01\0' >nar-head
for tool in "bzip2 -9" "xz -9" "zstd -q19"; do
  $tool -c nar-head >"nar-head.${tool%% *}"
done
rm numbers first second nar-head
