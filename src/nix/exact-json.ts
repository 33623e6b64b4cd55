import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { compareTexts } from "./derivation-file.ts";

/**
 * A number of a JSON text. A derivation's store path depends on whether Nix wrote `3` or `3.0`, and
 * on each digit of a large number, both of which a JavaScript number loses.
 */
export class ExactNumber {
  /** As Nix writes it. */
  readonly text: string;

  /** @throws StoreError `invalid` */
  constructor(text: string) {
    this.text = canonicalNumber(text);
  }
}

/** Strings and numbers, and the colon behind a key. */
const TOKENS = /("[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][-+.0-9eE]*)([ \t\n\r]*:)?/gs;
const MARK = "\0";
const ESCAPED_MARK = "\\u0000";

/**
 * What `JSON.parse` gives, but for numbers, each of which is an `ExactNumber`.
 *
 * @throws StoreError `invalid`
 */
export function parseExactJson(text: string): unknown {
  // The platform's parser reads a text in which numbers are strings that begin with a mark. Strings
  // that begin with the mark anyway get a second one.
  const marked = text.replace(TOKENS, (whole: string, token: string, colon: string | undefined) => {
    if (colon !== undefined) return whole;
    if (!token.startsWith('"')) return `"${ESCAPED_MARK}${token}"`;
    return token.startsWith(`"${ESCAPED_MARK}`) ? `"${ESCAPED_MARK}${token.slice(1)}` : token;
  });
  try {
    return JSON.parse(marked, (_key, value: unknown) => {
      if (typeof value !== "string" || !value.startsWith(MARK)) return value;
      return value.startsWith(MARK + MARK) ? value.slice(MARK.length) : new ExactNumber(value.slice(MARK.length));
    });
  } catch (cause) {
    throw new StoreError("invalid", `not JSON: ${quote(text)}`, { cause });
  }
}

/** Writes what `parseExactJson` gave as Nix does: without blanks, keys sorted bytewise. */
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
/** Nix reads whole numbers as integers of 64 bits, and others as floating-point numbers. */
const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 64n - 1n;
const MAX_INTEGER_DIGITS = 20;
/** More decimal digits than any double has. */
const MAX_DIGITS = 17;

/** Where Nix's JSON library changes from `123.0` and `0.0001` to `1e+16` and `1e-05`. */
const MIN_EXPONENT = -4;
const MAX_EXPONENT = 15;

function canonicalNumber(text: string): string {
  const [, sign, whole, fraction, exponent] = NUMBER.exec(text) ?? [];
  const value = Number(text);
  if (sign === undefined || whole === undefined || !Number.isFinite(value))
    throw new StoreError("invalid", `not a number of JSON: ${quote(text)}`);
  if (fraction === undefined && exponent === undefined && whole.length <= MAX_INTEGER_DIGITS) {
    const integer = BigInt(text);
    if (integer >= MIN_INTEGER && integer <= MAX_INTEGER) return String(integer);
  }
  if (value === 0) return `${sign}0.0`;
  let digits = (whole + (fraction ?? "")).replace(/^0+/, "");
  // Where the decimal point is among the digits.
  let point = digits.length - (fraction ?? "").length + Number(exponent ?? 0);
  digits = digits.replace(/0+$/, "");
  if (digits.length > MAX_DIGITS) {
    const [mantissa, power] = Math.abs(value).toExponential().split("e") as [string, string];
    digits = mantissa.replace(".", "");
    point = Number(power) + 1;
  }
  return sign + layout(digits, point);
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
