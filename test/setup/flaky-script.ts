/** What the server does with one request of a file. */
export type Step =
  /** Closes the connection without an answer. */
  | "reset"
  /** Never answers. */
  | "silent"
  /** Answers with this status. */
  | number
  | { readonly status: number; readonly retryAfter?: string }
  /** Sends so many bytes of those asked for, and closes the connection. */
  | { readonly cut: number }
  /**
   * Sends so many bytes of those asked for, and ends the answer properly, without a declared
   * length.
   */
  | { readonly short: number }
  /** Sends so many bytes of those asked for, and nothing more. */
  | { readonly stall: number }
  /** Sends another file of this many bytes. */
  | { readonly other: number }
  | "ok";

export interface Script {
  /**
   * Steps for the files whose path contains the key, each file for itself: its first request takes
   * the first step and so on. Later requests get the file.
   */
  readonly steps?: Readonly<Record<string, readonly Step[]>>;
  /**
   * How `Range` is treated: as it should be (the default), not at all, refused with 416 or 400, or
   * answered with another part.
   */
  readonly ranges?: "yes" | "ignored" | "416" | "400" | "wrong";
  /** Whether `Accept-Ranges: bytes` is sent. */
  readonly acceptRanges?: boolean;
  /** Sent as `ETag`; `each` makes another one for each request. */
  readonly etag?: string;
  /**
   * Whether pages may send the header `Range` and read `Retry-After`, `ETag` and `Content-Range`.
   */
  readonly cors?: "simple" | "all";
}

export interface Asked {
  readonly path: string;
  readonly range: string | undefined;
}

let made = 0;

/** @param origin of a flaky server; ends in a slash */
export function flakyCacheUrl(origin: string, script: Script): string {
  const text = btoa(JSON.stringify(script)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return `${origin}${text}.${made++}-${Math.random().toString(36).slice(2)}/`;
}
