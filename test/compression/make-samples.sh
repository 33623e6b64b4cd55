#!/usr/bin/env bash
# Makes samples/ with programs of Debian's packages gzip, bzip2, xz-utils, zstd, lz4, lzip, brotli
# and p7zip-full, and with python3. The content is: the numbers from 1 to 25000, one on each line,
# in one stream and in several, with the optional checks and sizes of the formats; short texts that
# tests join; and 16 MiB of zeros.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
rm -rf samples && mkdir samples && cd samples

seq 1 25000 >numbers
head -n 12000 numbers >first
tail -n +12001 numbers >second

gzip -9nc numbers >numbers.gz
# With blocks of 100 kB there are two blocks.
bzip2 -1c numbers >numbers.bz2
xz -9c numbers >numbers.xz
xz -9c --check=crc32 numbers >crc32.xz
# One frame without a content size but with a checksum, and one the other way around.
zstd -q19c <numbers >numbers.zst
zstd -q19c --no-check numbers >unchecked.zst
# One file with blocks that refer to earlier blocks, and one with independent blocks, sizes and
# checksums.
lz4 -q -9 -B4 -BD -c numbers >numbers.lz4
lz4 -q -9 -B4 -BI -BX --content-size -c numbers >sized.lz4
lzip -9c numbers >numbers.lz
# A header with an unknown size, and a marker at the end.
xz --format=lzma -9c numbers >numbers.lzma
# A header with the size, and no marker at the end. 7-Zip has the data in its own format, after a
# header of 32 bytes.
7z a -t7z -m0=LZMA -mf=off numbers.7z numbers >/dev/null
python3 - <<'PYTHON'
import os, struct
packed = open("numbers.7z", "rb").read()
(length,) = struct.unpack("<Q", packed[12:20])
header = struct.pack("<BIQ", 0x5D, 1 << 24, os.path.getsize("numbers"))
open("sized.lzma", "wb").write(header + packed[32 : 32 + length])
PYTHON
brotli -c numbers >numbers.br

{ bzip2 -9c first; bzip2 -9c second; } >several.bz2
{ xz -9c first; head -c 8 /dev/zero; xz -9c second; head -c 4 /dev/zero; } >several.xz
# A skippable frame with 5 bytes lies in between.
{ zstd -q19c first; printf '\x53\x2a\x4d\x18\x05\x00\x00\x00skip!'; zstd -q19c <second; } >several.zst
{ lzip -c first; lzip -c second; } >several.lz

# Runs of every length up to 600, of all bytes. bzip2 counts up to 259 bytes at once.
python3 - <<'PYTHON' >runs
import sys
for i in range(1, 601):
    sys.stdout.buffer.write(bytes([i * 7 % 256]) * i)
PYTHON
bzip2 -1c runs >runs.bz2
rm runs

# Matches at a distance of some 110 MiB, in a window of 128 MiB. Their offsets take 26 bits in
# addition to their code.
python3 - <<'PYTHON' | zstd -q -19 --long=27 --single-thread -c >far.zst
import hashlib, sys
def lines(start, count):
    return b"".join(hashlib.sha512(str(i).encode()).digest() for i in range(start, start + count))
out = sys.stdout.buffer
for i in range(64):
    out.write(lines(i * 10, 2 + i % 3) + bytes(1 + i * 37 % 11))
out.write(bytes(110 << 20))
for i in range(64):
    out.write(lines(i * 10, 2 + i % 3) + b"x" * (1 + i * 31 % 7))
PYTHON

# Members for tests to join. For a .br file, web servers send a Content-Encoding, and browsers
# decode it. The names therefore have other endings.
compress() {
  case $1 in
    gzip) gzip -9nc ;;
    bzip2) bzip2 -9c ;;
    xz) xz -9c ;;
    zstd) zstd -q19c ;;
    lz4) lz4 -q -9 -c ;;
    lzip) lzip -9c ;;
    lzma) xz --format=lzma -9c ;;
    br) brotli -c ;;
  esac
}
for compression in gzip bzip2 xz zstd lz4 lzip lzma br; do
  seq 1 150 | compress $compression >"$compression.one"
  seq 151 300 | compress $compression >"$compression.two"
  compress $compression </dev/null >"$compression.nothing"
  head -c $((16 * 1024 * 1024)) /dev/zero | compress $compression >"zeros.$compression"
done

# Legacy frames of lz4, alone and after others; one of two blocks.
seq 1 150 | lz4 -l -q -9 -c >legacy.lz4
{ cat lz4.one; seq 151 300 | lz4 -l -q -9 -c; seq 1 150 | lz4 -l -q -9 -c; cat lz4.two; } >mixed.lz4
head -c $((8 * 1024 * 1024 + 10)) /dev/zero | lz4 -l -q -9 -c >blocks-legacy.lz4
# A frame to be skipped, which zstd and lz4 both know, then theirs.
for compression in zstd lz4; do
  { printf '\x5f\x2a\x4d\x18\x05\x00\x00\x00skip!\x50\x2a\x4d\x18\x00\x00\x00\x00'; cat $compression.one; } >skip.$compression
done
# Other properties than the usual ones.
for properties in lc=4,lp=0,pb=0 lc=1,lp=2,pb=3 lc=0,lp=4,pb=4 lc=0,lp=0,pb=0,dict=96MiB; do
  seq 1 150 | xz --format=lzma --lzma1=$properties -c >"${properties//[=,]/-}.lzma"
done
# Frames that refer to a dictionary without saying so.
python3 -c 'import hashlib, sys; sys.stdout.buffer.write(b"".join(hashlib.sha512(b"%d" % i).digest() for i in range(40)))' >reference
{ cat reference; echo more; } >longer
zstd -q --patch-from=reference -c longer >patch.zst
zstd -q -D reference --no-check -c longer >dictionary.zst

# How the NAR of a file of 2^48 bytes begins, for something to follow.
printf '%b' '\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0' '\x01\0\0\0\0\0\0\0(\0\0\0\0\0\0\0' '\x04\0\0\0\0\0\0\0type\0\0\0\0' \
  '\x07\0\0\0\0\0\0\0regular\0' '\x08\0\0\0\0\0\0\0contents' '\0\0\0\0\0\0\x01\0' >nar-head
for tool in "bzip2 -9" "xz -9" "zstd -q19"; do
  $tool -c nar-head >"nar-head.${tool%% *}"
done
rm numbers numbers.7z first second nar-head reference longer
