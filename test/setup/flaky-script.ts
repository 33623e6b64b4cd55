/** What the server does with one request for a file. */
export type Step =
  /** Closes the connection without an answer. */
  | "reset"
  /** Never answers. */
  | "silent"
  /** Answers with this status and no file. */
  | number
  | { readonly status: number; readonly retryAfter?: string }
  /** Sends this many of the requested bytes, and then resets the connection. */
  | { readonly cut: number }
  /**
   * Sends this many of the requested bytes without a declared length, and then ends the answer
   * normally.
   */
  | { readonly short: number }
  /** Sends this many of the requested bytes, and then stalls. */
  | { readonly stall: number }
  /** Sends another file with this many bytes. */
  | { readonly other: number }
  | "ok";

export interface Script {
  /**
   * Steps for the files whose path contains the key. Each file has its own sequence: its first
   * request takes the first step, and so on. Later requests get the file.
   */
  readonly steps?: Readonly<Record<string, readonly Step[]>>;
  /**
   * How the server treats `Range`: correctly (the default), ignores it, refuses it with 416 or 400,
   * or sends another range.
   */
  readonly ranges?: "yes" | "ignored" | "416" | "400" | "wrong";
  /** Whether the server sends `Accept-Ranges: bytes`. */
  readonly acceptRanges?: boolean;
  /** Value of `ETag`. With `each`, every request gets another value. */
  readonly etag?: string;
  /**
   * Whether pages may send the header `Range` and read `Retry-After`, `ETag` and `Content-Range`
   * (`all`).
   */
  readonly cors?: "simple" | "all";
}

export interface Asked {
  readonly path: string;
  readonly range: string | undefined;
}

let made = 0;

/**
 * Creates the URL of a new cache that behaves as `script` says.
 *
 * @param origin URL of a flaky server; ends in a slash
 * @returns the URL; ends in a slash
 */
export function flakyCacheUrl(origin: string, script: Script): string {
  const text = btoa(JSON.stringify(script)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return `${origin}${text}.${made++}-${Math.random().toString(36).slice(2)}/`;
}
