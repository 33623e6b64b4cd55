/**
 * The brotli decoder for pages, beside its WebAssembly module. Together they transfer 100 kB when
 * compressed. Both are separate files, so that a page that needs no brotli doesn't load them.
 */

export { BrotliDecStream, default as init } from "brotli-dec-wasm/web";
