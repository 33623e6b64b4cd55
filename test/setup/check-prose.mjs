// @ts-check
// Checks comments and docs for faults that a program can find. Prints one line for each fault:
// file, line number and reason. Exit status: 0 if there are no faults, else 1.
//
//     node test/setup/check-prose.mjs [FILE...]
//
// Without arguments it checks all files that git tracks.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Columns of a line of prose. */
const WIDTH = 100;

/** Words that stand in for a noun, so the reader has to ask "who?" or "which?". */
const PHRASES = ["likewise", "whoever", "whatever is", "that which", "that what", "what there is of", "nobody need", "goes not"];
const PHRASE = new RegExp(`\\b(?:${PHRASES.join("|")})\\b`, "gi");

/** A first sentence that says to which thing a value belongs, but not what the value is. */
const GENITIVE = /^Of |^(?:In|For|By|With|From) (?:wh(?:ich|om|ose|at)\b|(?!.*(?:[,:;]|\b(?:is|are|has|have|does|do|can)\b)))/;

/** Generated files, and samples that other programs wrote. */
const GENERATED =
  /^src\/wire\/gen\/|^src\/\w+\/kernel\/kernel\.wasm\.ts$|^test\/nix\/nix-2\.34\/|^test\/(?:.*\/)?(?:fixtures|samples|archives)\/.*\.(?!sh$|ts$|mjs$|nix$)/;

/** Start of a line comment, by file name extension. Only these files and Markdown are checked. */
const LINE_COMMENT = new Map([
  ...["ts", "mts", "mjs", "rs", "proto"].map((extension) => /** @type {const} */ ([extension, /^\s*\/\/[/!]?/])),
  ...["sh", "nix", "yaml"].map((extension) => /** @type {const} */ ([extension, /^\s*#(?!!)/])),
]);

/** @typedef {{ number: number, line: string, text: string }} ProseLine */

/**
 * Yields the paragraphs of a Markdown file, except for code, tables, headings and HTML.
 *
 * @param {readonly string[]} lines
 * @returns {Generator<ProseLine[]>}
 */
function* paragraphs(lines) {
  /** @type {ProseLine[]} */
  let block = [];
  let isCode = false;
  for (const [i, line] of lines.entries()) {
    const isFence = line.startsWith("```");
    if (isFence) isCode = !isCode;
    if (!isFence && !isCode && !/^(?:\||#|<| {4}|\s*$)/.test(line)) block.push({ number: i + 1, line, text: line.trim() });
    else block = yield* flushed(block);
  }
  yield* flushed(block);
}

/**
 * Yields the comments that don't share a line with code: block comments, and runs of line comments.
 *
 * @param {readonly string[]} lines
 * @param {RegExp} lineComment
 * @returns {Generator<ProseLine[]>}
 */
function* comments(lines, lineComment) {
  const hasBlocks = !lineComment.source.includes("#");
  /** @type {ProseLine[]} */
  let block = [];
  let isInBlock = false;
  for (const [i, line] of lines.entries()) {
    if (!isInBlock && hasBlocks && /^\s*\/\*/.test(line)) {
      block = yield* flushed(block);
      isInBlock = true;
    } else if (!isInBlock && !lineComment.test(line)) {
      block = yield* flushed(block);
      continue;
    }
    const text = isInBlock ? line.replace(/\*\/.*$/, "").replace(/^\s*(?:\/\*\*?|\*)?/, "") : line.replace(lineComment, "");
    block.push({ number: i + 1, line, text: text.trim() });
    if (isInBlock && line.includes("*/")) {
      block = yield* flushed(block);
      isInBlock = false;
    }
  }
  yield* flushed(block);
}

/**
 * @param {ProseLine[]} block
 * @returns {Generator<ProseLine[], ProseLine[]>}
 */
function* flushed(block) {
  if (block.length > 0) yield block;
  return [];
}

/**
 * @param {readonly ProseLine[]} block
 * @param {boolean} isComment
 * @returns {Generator<{ number: number, reason: string }>}
 */
function* faultsOf(block, isComment) {
  for (const { number, line, text } of block) {
    // A line without a place to break it, or with a syntax that forbids a break.
    const isUnbreakable = !/\S\s+\S+\s+\S/.test(text) || /^(?:@\w+ \{|biome-ignore|https?:)/.test(text);
    if (line.length > WIDTH && !isUnbreakable) yield { number, reason: `${line.length} columns; prose ends at ${WIDTH}` };
  }
  const first = block.find(({ text }) => text !== "");
  if (!first) return;
  const whole = block.map(({ text }) => text).join(" ");
  const sentence = whole.trim().split(/[.!?](?:\s|$)/)[0] ?? "";
  if (isComment && GENITIVE.test(sentence))
    yield { number: first.number, reason: "says to which thing the value belongs, but not what the value is" };
  for (const { 0: phrase, index } of whole.matchAll(PHRASE)) {
    let end = 0;
    const at = block.find(({ text }) => {
      end += text.length + 1;
      return index < end;
    });
    yield { number: at?.number ?? first.number, reason: `"${phrase}" stands in for a noun; name the thing` };
  }
}

const given = process.argv.slice(2);
const tracked = execFileSync("git", ["ls-files"], { encoding: "utf8" }).split("\n");
const files = given.length > 0 ? given : tracked.filter((path) => !GENERATED.test(path));
let count = 0;
for (const path of files) {
  const extension = /\.(\w+)$/.exec(path)?.[1] ?? "";
  const lineComment = LINE_COMMENT.get(extension);
  if (!lineComment && extension !== "md") continue;
  const lines = readFileSync(path, "utf8").split("\n");
  const blocks = lineComment ? comments(lines, lineComment) : paragraphs(lines);
  for (const block of blocks) {
    for (const { number, reason } of faultsOf(block, lineComment !== undefined)) {
      process.stdout.write(`${path}:${number}: ${reason}\n`);
      count++;
    }
  }
}
process.exitCode = count > 0 ? 1 : 0;
