/**
 * The decoder of brotli for pages, with its WebAssembly module beside it: 100 kB when they are sent
 * compressed. They are files of their own, so that a page that needs no brotli doesn't load them.
 */

export { BrotliDecStream, default as init } from "brotli-dec-wasm/web";
