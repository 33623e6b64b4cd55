import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { compareTexts } from "./derivation-file.ts";

/**
 * A number in a JSON text. A derivation's store path depends on whether Nix wrote `3` or `3.0`, and
 * on each digit of a large number. A JavaScript number loses both.
 */
export class ExactNumber {
  /** The number as Nix writes it. */
  readonly text: string;

  /** @throws StoreError `invalid` */
  constructor(text: string) {
    this.text = canonicalNumber(text);
  }
}

const MARK = "\0";
const ESCAPED_MARK = "\\u0000";

/**
 * Maximum number of values and of numbers in one text. Keys don't count. A value may be two
 * characters long but takes some 30 bytes of memory; a number takes 150. Real texts have few
 * numbers: a derivation has one.
 */
const MAX_VALUES = 8_000_000;
const MAX_NUMBERS = 1_000_000;

/**
 * Parses JSON like `JSON.parse`, but each number becomes an `ExactNumber`. The time is proportional
 * to the length of the text.
 *
 * @throws StoreError `invalid`, also for a text with more than a million numbers or 8 million
 *   values
 */
export function parseExactJson(text: string): unknown {
  const marked = markNumbers(withoutByteOrderMark(text));
  try {
    return JSON.parse(marked, (_key, value: unknown) => {
      if (typeof value !== "string" || !value.startsWith(MARK)) return value;
      return value.startsWith(MARK + MARK) ? value.slice(MARK.length) : new ExactNumber(value.slice(MARK.length));
    });
  } catch (cause) {
    throw new StoreError("invalid", `not JSON: ${quote(text)}`, { cause });
  }
}

/** Removes one byte order mark from the start of a JSON text, as Nix's JSON library does. */
export function withoutByteOrderMark(text: string): string {
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}

/**
 * Rewrites the text for the platform's parser. Numbers become strings that begin with a mark.
 * Strings that already begin with the mark get a second one. Invalid JSON stays invalid.
 */
function markNumbers(text: string): string {
  const parts: string[] = [];
  let copied = 0;
  const replace = (from: number, to: number, by: string): void => {
    parts.push(text.slice(copied, from), by);
    copied = to;
  };
  let values = 1;
  let numbers = 0;
  for (let at = 0; at < text.length; ) {
    const char = text.charAt(at);
    if (char === '"') {
      const end = endOfString(text, at);
      if (text.startsWith(ESCAPED_MARK, at + 1) && !isKey(text, end)) replace(at + 1, at + 1, ESCAPED_MARK);
      at = end;
    } else if (isDigit(char) || (char === "-" && isDigit(text.charAt(at + 1)))) {
      const end = endOfNumber(text, at);
      if (++numbers > MAX_NUMBERS) throw new StoreError("invalid", `the JSON has more than ${MAX_NUMBERS} numbers: ${quote(text)}`);
      if (!isKey(text, end)) replace(at, end, `"${ESCAPED_MARK}${text.slice(at, end)}"`);
      at = end;
    } else {
      if (OPENS_VALUE.has(char) && ++values > MAX_VALUES)
        throw new StoreError("invalid", `the JSON has more than ${MAX_VALUES} values: ${quote(text)}`);
      at++;
    }
  }
  parts.push(text.slice(copied));
  return parts.join("");
}

/** Characters before a value, or before the end of an empty list or object. */
const OPENS_VALUE: ReadonlySet<string> = new Set(["[", "{", ","]);
const NUMBER_CHARS: ReadonlySet<string> = new Set("-+.0123456789eE");
const BLANKS: ReadonlySet<string> = new Set(" \t\n\r");

function isDigit(char: string): boolean {
  return char >= "0" && char <= "9";
}

/**
 * Returns the index after the string that begins at `start`, or the text's length if it has no end.
 */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === "\\") at++;
    else if (char === '"') return at + 1;
  }
  return text.length;
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  while (NUMBER_CHARS.has(text.charAt(at))) at++;
  return at;
}

/** Whether a colon follows the token that ends at `end`. */
function isKey(text: string, end: number): boolean {
  let at = end;
  while (BLANKS.has(text.charAt(at))) at++;
  return text.charAt(at) === ":";
}

/** Writes a result of `parseExactJson` as Nix does: without blanks, keys sorted bytewise. */
export function formatExactJson(root: unknown): string {
  const parts: string[] = [];
  const open: { readonly items: readonly (readonly [prefix: string, value: unknown])[]; at: number; readonly end: string }[] = [];
  const write = (value: unknown): void => {
    if (value instanceof ExactNumber) parts.push(value.text);
    else if (Array.isArray(value)) {
      parts.push("[");
      open.push({ items: value.map((item: unknown) => ["", item]), at: 0, end: "]" });
    } else if (typeof value === "object" && value !== null) {
      const entries = Object.entries(value).sort(([a], [b]) => compareTexts(a, b));
      parts.push("{");
      open.push({ items: entries.map(([key, item]) => [`${JSON.stringify(key)}:`, item]), at: 0, end: "}" });
    } else parts.push(JSON.stringify(value));
  };
  write(root);
  for (let top = open.at(-1); top; top = open.at(-1)) {
    const item = top.items[top.at];
    if (!item) {
      parts.push(top.end);
      open.pop();
      continue;
    }
    parts.push(top.at === 0 ? "" : ",", item[0]);
    top.at++;
    write(item[1]);
  }
  return parts.join("");
}

const NUMBER = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([-+]?[0-9]+))?$/;
/**
 * Range of integers. Nix reads whole numbers as integers of 64 bits, and others as floating-point
 * numbers.
 */
const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 64n - 1n;
const MAX_INTEGER_DIGITS = 20;
/** Maximum number of significant decimal digits of a double. */
const MAX_DIGITS = 17;

/**
 * Exponents at which Nix's JSON library changes from `123.0` and `0.0001` to `1e+16` and `1e-05`.
 */
const MIN_EXPONENT = -4;
const MAX_EXPONENT = 15;

function canonicalNumber(text: string): string {
  const [, sign, whole, fraction, exponent] = NUMBER.exec(text) ?? [];
  const value = Number(text);
  if (sign === undefined || whole === undefined || !Number.isFinite(value))
    throw new StoreError("invalid", `not a JSON number: ${quote(text)}`);
  if (fraction === undefined && exponent === undefined && whole.length <= MAX_INTEGER_DIGITS) {
    const integer = BigInt(text);
    if (integer >= MIN_INTEGER && integer <= MAX_INTEGER) return String(integer);
  }
  if (value === 0) return `${sign}0.0`;
  let digits = (whole + (fraction ?? "")).replace(/^0+/, "");
  // Position of the decimal point among the digits.
  let point = digits.length - (fraction ?? "").length + Number(exponent ?? 0);
  digits = withoutZerosAtEnd(digits);
  if (digits.length > MAX_DIGITS) {
    const [mantissa, power] = Math.abs(value).toExponential().split("e") as [string, string];
    digits = mantissa.replace(".", "");
    point = Number(power) + 1;
  }
  return sign + layout(digits, point);
}

/**
 * Removes trailing zeros. `/0+$/` would be slow, because it starts again at each zero in the
 * middle.
 */
function withoutZerosAtEnd(digits: string): string {
  let length = digits.length;
  while (digits.charAt(length - 1) === "0") length--;
  return digits.slice(0, length);
}

function layout(digits: string, point: number): string {
  if (point > 0 && point <= MAX_EXPONENT) {
    const padded = digits.padEnd(point, "0");
    return `${padded.slice(0, point)}.${padded.slice(point) || "0"}`;
  }
  if (point > MIN_EXPONENT && point <= 0) return `0.${"0".repeat(-point)}${digits}`;
  const power = point - 1;
  const mantissa = digits.length === 1 ? digits : `${digits.slice(0, 1)}.${digits.slice(1)}`;
  return `${mantissa}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}
