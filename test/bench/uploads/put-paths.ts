import { createHash } from "node:crypto";
import { Agent, request } from "node:http";
import { encodeNixbase32 } from "../../../src/nix/nixbase32.ts";

/** The upload of one store path. */
export interface PathUpload {
  readonly hashPart: string;
  readonly nar: Uint8Array;
  /** SHA-256 of the NAR, in nixbase32. */
  readonly narHash: string;
}

/** Creates an upload with an arbitrary store path, which only depends on `index`. */
export function pathUpload(index: number, nar: Uint8Array): PathUpload {
  const sha256 = (bytes: Uint8Array | string): Uint8Array => createHash("sha256").update(bytes).digest();
  const hashPart = encodeNixbase32(sha256(`path ${index}`)).slice(0, 32);
  return { hashPart, nar, narHash: encodeNixbase32(sha256(nar)) };
}

/**
 * Uploads the NAR of each path and then its NARInfo, as Nix does.
 *
 * @returns seconds
 */
export async function putPaths(cache: string, paths: readonly PathUpload[], connections: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const put = (path: string, body: Uint8Array | string): Promise<void> =>
    new Promise((resolve, reject) => {
      const sent = request(`${cache}/${path}`, { method: "PUT", agent }, (answer) => {
        answer.resume();
        answer.on("end", () => (answer.statusCode === 201 ? resolve() : reject(new Error(`PUT ${path}: ${answer.statusCode}`))));
      });
      sent.on("error", reject);
      sent.end(body);
    });
  const waiting = paths[Symbol.iterator]();
  const lane = async (): Promise<void> => {
    for (const { hashPart, nar, narHash } of waiting) {
      const fields = {
        StorePath: `/nix/store/${hashPart}-files`,
        URL: `nar/${narHash}.nar`,
        Compression: "none",
        NarHash: `sha256:${narHash}`,
        NarSize: `${nar.length}`,
        References: "",
      };
      await put(fields.URL, nar);
      await put(
        `${hashPart}.narinfo`,
        Object.entries(fields)
          .map(([key, value]) => `${key}: ${value}\n`)
          .join(""),
      );
    }
  };
  const from = performance.now();
  await Promise.all(Array.from({ length: connections }, lane));
  agent.destroy();
  return (performance.now() - from) / 1000;
}
