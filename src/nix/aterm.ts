import { concatBytes, decodeUtf8Strict, quote, utf8 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { DerivationText } from "./derivation.ts";

/** Converts each byte to one character. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

const UNESCAPED: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/**
 * Reads terms from text. It decodes the whole text at once, because a decoder call for each string
 * would take most of the time.
 */
export class ATermReader {
  readonly #name: string;
  readonly #text: string;
  /** Whether each character of `#text` is a byte, because the bytes are not valid UTF-8. */
  readonly #isBytes: boolean;
  #at = 0;
  #backslash = -1;

  constructor(bytes: Uint8Array, name: string) {
    const text = decodeUtf8Strict(bytes);
    this.#name = name;
    this.#isBytes = text === undefined;
    this.#text = text ?? latin1(bytes);
  }

  take(literal: string): void {
    if (!this.skip(literal)) throw this.error(`${quote(literal)} is missing`);
  }

  /** Takes `literal` if it comes next. */
  skip(literal: string): boolean {
    if (!this.#text.startsWith(literal, this.#at)) return false;
    this.#at += literal.length;
    return true;
  }

  end(): void {
    if (this.#at !== this.#text.length) throw this.error("there is data after its end");
  }

  list(item: () => void): void {
    this.take("[");
    for (let first = true; this.#text[this.#at] !== "]"; first = false) {
      if (!first) this.take(",");
      item();
    }
    this.#at++;
  }

  set(what: string): Set<string> {
    const found = new Set<string>();
    this.list(() => {
      const text = this.text();
      if (found.has(text)) throw this.error(`${what} ${quote(text)} occurs twice`);
      found.add(text);
    });
    return found;
  }

  /** Reads a list of tuples. */
  map<V>(what: string, item: () => [string, V]): Map<string, V> {
    const found = new Map<string, V>();
    this.list(() => {
      this.take("(");
      const [key, value] = item();
      this.take(")");
      if (found.has(key)) throw this.error(`${what} ${quote(key)} occurs twice`);
      found.set(key, value);
    });
    return found;
  }

  text(): string {
    const found = this.string();
    if (typeof found !== "string") throw this.error("a name is not UTF-8");
    return found;
  }

  string(): DerivationText {
    this.take('"');
    const text = this.#text;
    let end = text.indexOf('"', this.#at);
    let slash = this.#nextBackslash(this.#at);
    if (end !== -1 && slash > end) {
      const plain = text.slice(this.#at, end);
      this.#at = end + 1;
      return this.#decoded(plain);
    }
    const parts: string[] = [];
    let at = this.#at;
    while (slash !== Number.POSITIVE_INFINITY && (end === -1 || slash < end)) {
      const escaped = text[slash + 1];
      if (escaped === undefined) break;
      parts.push(text.slice(at, slash), UNESCAPED[escaped] ?? escaped);
      at = slash + 2;
      if (end < at) end = text.indexOf('"', at);
      slash = this.#nextBackslash(at);
    }
    if (end === -1) throw this.error("a string has no closing quote");
    parts.push(text.slice(at, end));
    this.#at = end + 1;
    return this.#decoded(parts.join(""));
  }

  /**
   * Returns the position of the next backslash, or infinity. Keeps it for the next string: without
   * backslashes, each search would read the file to its end.
   */
  #nextBackslash(from: number): number {
    if (this.#backslash < from) {
      const at = this.#text.indexOf("\\", from);
      this.#backslash = at === -1 ? Number.POSITIVE_INFINITY : at;
    }
    return this.#backslash;
  }

  #decoded(text: string): DerivationText {
    if (!this.#isBytes) return text;
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    return decodeUtf8Strict(bytes) ?? bytes;
  }

  error(problem: string): StoreError {
    return new StoreError("invalid", `derivation ${quote(this.#name)}, at ${this.#at}: ${problem}`);
  }
}

const ESCAPED: Readonly<Record<string, string>> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escapeText(text: string): string {
  return /["\\\n\r\t]/.test(text) ? text.replace(/["\\\n\r\t]/g, (char) => ESCAPED[char] as string) : text;
}

export class ATermWriter {
  readonly #parts: Uint8Array[] = [];
  #text = "";

  raw(text: string): void {
    this.#text += text;
  }

  string(value: DerivationText): void {
    this.#text += '"';
    if (typeof value === "string") {
      this.#text += escapeText(value);
    } else {
      this.#flush();
      const escaped = escapeText(latin1(value));
      this.#parts.push(Uint8Array.from(escaped, (char) => char.charCodeAt(0)));
    }
    this.#text += '"';
  }

  list<T>(items: Iterable<T>, item: (value: T) => void): void {
    this.#text += "[";
    let first = true;
    for (const value of items) {
      if (!first) this.#text += ",";
      first = false;
      item(value);
    }
    this.#text += "]";
  }

  tuple(values: readonly DerivationText[]): void {
    this.#text += "(";
    for (const [i, value] of values.entries()) {
      if (i > 0) this.#text += ",";
      this.string(value);
    }
    this.#text += ")";
  }

  bytes(): Uint8Array {
    this.#flush();
    return concatBytes(this.#parts);
  }

  #flush(): void {
    if (this.#text !== "") this.#parts.push(utf8(this.#text));
    this.#text = "";
  }
}
