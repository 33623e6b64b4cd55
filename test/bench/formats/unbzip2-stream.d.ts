/** The package has no types. */

interface Unbzip2Stream {
  on(event: "data", listener: (bytes: Uint8Array) => void): this;
  on(event: "error", listener: (error: Error) => void): this;
  on(event: "end", listener: () => void): this;
  write(bytes: Uint8Array): unknown;
  end(): unknown;
}

/** The build for Node, with Node's own streams and buffers. */
declare module "unbzip2-stream" {
  export default function unbzip2Stream(): Unbzip2Stream;
}

/** The build for pages, which brings streams and buffers. */
declare module "unbzip2-stream/dist/unbzip2-stream.min.js" {
  export default function unbzip2Stream(): Unbzip2Stream;
}
