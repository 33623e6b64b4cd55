#!/bin/sh
# Writes blake3-vectors.json: hashes by b3sum, the program of BLAKE3's authors, from Debian's
# package b3sum. The inputs are those of the published test vectors: byte i is i modulo 251. Run it
# in this directory.
set -eu
input=$(mktemp)
trap 'rm -f "$input"' EXIT
awk 'BEGIN { for (i = 0; i < 251; i++) printf "%s%03o", "\\", i }' > "$input.octal"
period=$(cat "$input.octal")
rm "$input.octal"
i=0
while [ $i -lt 1024 ]; do printf "%b" "$(printf '%s' "$period" | sed 's/\\/\\0/g')"; i=$((i + 1)); done > "$input"

# Lengths around the borders of blocks, chunks, four chunks and their multiples, groups of 16 KiB,
# and subtrees.
lengths="0 1 2 3 4 5 6 7 8 63 64 65 127 128 129 1023 1024 1025 2047 2048 2049 3071 3072 3073 4095 4096 4097 5119 5120 5121 6143 6144 6145"
lengths="$lengths 7167 7168 7169 8191 8192 8193 12287 12288 12289 16383 16384 16385 16387 31743 31744 31745 32767 32768 32769 65535 65536 65537"
lengths="$lengths 98304 102400 131071 131072 131073 196608 204801 257024"
key="whats the Elvish word for friend"
separator=""
{
  printf '{\n  "key": "%s",\n  "vectors": [' "$key"
  for length in $lengths; do
    hash=$(head -c "$length" "$input" | b3sum --no-names)
    head -c "$length" "$input" > "$input.part"
    keyed=$(printf '%s' "$key" | b3sum --keyed --no-names "$input.part")
    printf '%s\n    { "length": %d, "hash": "%s", "keyed": "%s" }' "$separator" "$length" "$hash" "$keyed"
    separator=","
  done
  printf '\n  ]\n}\n'
} > blake3-vectors.json
rm -f "$input.part"
