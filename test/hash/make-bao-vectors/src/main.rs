//! Prints facts about encodings by the crate bao-tree, as JSON.
//! test/conformance/content.ts makes the same content. Run
//! `cargo run --release > ../bao-vectors.json`, and then `npx biome check --write` on that file.

use bao_tree::io::outboard::PreOrderMemOutboard;
use bao_tree::io::sync::encode_ranges_validated;
use bao_tree::{BlockSize, ChunkNum, ChunkRanges};

const KIB: usize = 1024;
const GROUP: usize = 16 * KIB;
const SEED: u32 = 77;
/// Encodings shorter than this number of bytes are printed in full.
const WHOLE: usize = 600;

/// The same as `pseudoRandom` of test/conformance/content.ts.
fn content(length: usize) -> Vec<u8> {
    let mut state = SEED;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Length and digest of `bytes`, and the bytes themselves if there are fewer than `WHOLE`.
fn facts(bytes: &[u8]) -> String {
    let whole = if bytes.len() < WHOLE { format!(r#", "hex": "{}""#, hex(bytes)) } else { String::new() };
    format!(r#""length": {}, "blake3": "{}"{whole}"#, bytes.len(), blake3::hash(bytes).to_hex())
}

fn outboard(size: usize, group_log: u8) -> String {
    let outboard = PreOrderMemOutboard::create(content(size), BlockSize::from_chunk_log(group_log - 10));
    let root = outboard.root.to_hex();
    format!(r#"    {{ "size": {size}, "groupLog": {group_log}, "root": "{root}", {} }}"#, facts(&outboard.into_inner_with_prefix()))
}

/// The slice for the groups from `first` up to, but not including, `end`.
fn slice(size: usize, first: usize, end: usize) -> String {
    let bytes = content(size);
    let outboard = PreOrderMemOutboard::create(&bytes, BlockSize::from_chunk_log(4));
    let chunk = |group: usize| ChunkNum((group * GROUP / KIB) as u64);
    let last = end * GROUP >= size;
    let ranges = if last { ChunkRanges::from(chunk(first)..) } else { ChunkRanges::from(chunk(first)..chunk(end)) };
    let mut encoded = (size as u64).to_le_bytes().to_vec();
    encode_ranges_validated(&bytes[..], &outboard, &ranges, &mut encoded).unwrap();
    format!(r#"    {{ "size": {size}, "first": {first}, "end": {end}, {} }}"#, facts(&encoded))
}

fn main() {
    let mut sizes = vec![0, 1, 1023, 1024, 1025];
    for groups in [1, 2, 3, 4, 5, 7, 8, 9, 16, 33, 100] {
        sizes.extend([groups * GROUP - 1, groups * GROUP, groups * GROUP + 1]);
    }
    let mut outboards: Vec<String> = sizes.iter().map(|&size| outboard(size, 14)).collect();
    // Lengths around the borders of the rule for group sizes.
    outboards.push(outboard(4096 * GROUP, 14));
    outboards.push(outboard(4096 * GROUP + 1, 15));
    outboards.push(outboard(4099 * GROUP + 5, 15));
    // Groups of other sizes. The rule does not give them to content this short.
    outboards.push(outboard(41 * GROUP + 77, 15));
    outboards.push(outboard(41 * GROUP + 77, 17));
    outboards.push(outboard(300 * GROUP + 77, 20));

    let mut slices = Vec::new();
    for &size in &sizes {
        let groups = size.div_ceil(GROUP).max(1);
        let middle = groups / 2;
        for (first, end) in [(0, groups), (0, 1), (middle, middle + 1), (groups - 1, groups), (groups / 3, groups - groups / 4)] {
            slices.push(slice(size, first, end));
        }
    }
    slices.dedup();
    println!("{{\n  \"seed\": {SEED},\n  \"outboards\": [\n{}\n  ],\n  \"slices\": [\n{}\n  ]\n}}", outboards.join(",\n"), slices.join(",\n"));
}
