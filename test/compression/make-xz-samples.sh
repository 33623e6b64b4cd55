#!/usr/bin/env bash
# Makes xz-samples/ with xz-utils, python3, and the liblzma that `npm run test:nix-next` fetches: xz
# 5.4 has no filter for RISC-V. `instructions` is what the filters for machine code are applied to:
# numbers that many of them take for calls. `numbers` is that of make-samples.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
rm -rf xz-samples && mkdir xz-samples && cd xz-samples

seq 1 25000 >numbers
python3 - <<'PYTHON'
import random
random.seed(1)
bits = random.getrandbits
def pick(*values): return values[bits(16) % len(values)]
def little(word, length=4): return word.to_bytes(length, "little")
def big(word): return word.to_bytes(4, "big")
def bundle():
    word = pick(0x10, 0x12, 0x16, 0x17, 0x18, 0x1c, 0)
    for slot in range(3):
        code = pick(bits(41), 5 << 37 | bits(1) << 36 | bits(20) << 13 | bits(6))
        word |= code << (5 + 41 * slot)
    return little(word, 16)
def riscv():
    register = bits(5)
    return pick(
        b"\xef" + little(bits(4) << 4 | pick(0, 2, 5) | bits(16) << 8, 3),
        little(0x17 | register << 7 | bits(20) << 12) + little(bits(12) << 20 | register << 15 | bits(12) << 3 | 3),
        little(0x3117 | bits(18) << 14) + little(bits(32)),
    )
makers = [
    lambda: pick(b"\xe8", b"\xe9", b"\xe8", b"\0", b"\xff", little(bits(24), 3) + pick(b"\0", b"\xff")),
    lambda: little(pick(0xeb, 0xeb, 0xea) << 24 | bits(24)),
    lambda: little(0xf800f000 | bits(11) | bits(11) << 16),
    lambda: little(pick(0x94000000 | bits(26), 0x90000000 | bits(2) << 29 | bits(15) << 5 | bits(5))),
    lambda: big(pick(0x48000001 | bits(24) << 2, 0x48000000 | bits(26))),
    lambda: big(pick(0x40000000, 0x7fc00000) | bits(22)),
    bundle,
    riscv,
]
with open("instructions", "wb") as file:
    for make in makers:
        part = b""
        while len(part) < 400: part += make()
        file.write(part[:400])
PYTHON

for filter in x86 arm armthumb arm64 powerpc ia64 sparc delta=dist=1 delta=dist=256; do
  xz -c --$filter --lzma2 instructions >"${filter//=/-}.xz"
done
xz -c --x86=start=4294963200 --lzma2 instructions >start.xz
# All the filters that a block can have, and blocks that end within instructions.
xz -c --block-size=777 -C sha256 --arm64 --delta=dist=3 --x86 --lzma2 instructions >chain.xz
python3 - "$(find "${XDG_CACHE_HOME:-$HOME/.cache}/tvix-store-web/nix-next/lib" -name liblzma.so.5)" <<'PYTHON'
import ctypes, sys
lzma = ctypes.CDLL(sys.argv[1])
lzma.lzma_str_to_filters.restype = ctypes.c_char_p
class Filter(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint64), ("options", ctypes.c_void_p)]
filters = (Filter * 5)()
assert lzma.lzma_str_to_filters(b"riscv lzma2", None, filters, ctypes.c_uint32(0), None) is None
data = open("instructions", "rb").read()
output = ctypes.create_string_buffer(2 * len(data))
length = ctypes.c_size_t(0)
assert lzma.lzma_stream_buffer_encode(filters, 4, None, data, ctypes.c_size_t(len(data)), output,
                                      ctypes.byref(length), ctypes.c_size_t(len(output))) == 0
open("riscv.xz", "wb").write(output.raw[: length.value])
PYTHON

xz -9c -C none numbers >none.xz
xz -9c -C sha256 numbers >sha256.xz
xz -c --lzma2=dict=96MiB numbers >dictionary-96.xz
xz -c --lzma2=dict=192MiB numbers >dictionary-192.xz
# Other properties, with two sizes of the dictionary.
xz -c --lzma2=lc=0,lp=2,pb=0 numbers >properties.xz
xz -c --lzma2=dict=96MiB,lc=1,lp=3,pb=4 numbers >properties-96.xz
# Sizes in the blocks' headers, by threads.
xz -9c -T2 --block-size=50000 numbers >sizes.xz
# A stream with a large dictionary, and one with a smaller dictionary.
{ head -n 12000 numbers | xz -c --lzma2=dict=96MiB; tail -n +12001 numbers | xz -9c; } >both.xz

# Chunks that are stored as they are between others: each pause ends a chunk.
for dictionary in 8 96; do
  python3 - <<'PYTHON' | xz -c --flush-timeout=50 --lzma2=dict=${dictionary}MiB >stored-$dictionary.xz
import hashlib, sys, time
for i in range(3):
    sys.stdout.buffer.write(b"".join(b"%d\n" % n for n in range(1000 * i, 1000 * i + 500)))
    sys.stdout.flush(); time.sleep(0.3)
    sys.stdout.buffer.write(b"".join(hashlib.sha512(b"%d" % (100 * i + n)).digest() for n in range(8)))
    sys.stdout.flush(); time.sleep(0.3)
PYTHON
done

# Matches across the end of the dictionary's buffer, which has 64 KiB or more.
python3 - <<'PYTHON' >cycles
import hashlib, sys
unique = b"".join(hashlib.sha512(b"%d" % n).digest() for n in range(50))
for i in range(80):
    sys.stdout.buffer.write(unique[: 3200 - i] + bytes([i]) * i)
PYTHON
xz -9c --lzma2=dict=4KiB cycles >cycles-4.xz
xz -9c --lzma2=dict=96KiB cycles >cycles-96.xz

# The content of far.zst: matches at a distance of some 110 MiB.
zstd -q -dc --long=27 ../samples/far.zst | xz -c -T1 --lzma2=preset=1,dict=128MiB,mf=hc4 >far.xz
sha256sum instructions cycles
rm numbers instructions cycles
