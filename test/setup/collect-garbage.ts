import { afterAll } from "vitest";

// The test files that ran before leave their WebAssembly memories to the engine, which frees them
// late. Chromium has room for some hundred memories in all threads of a page. A worker whose memory
// doesn't fit fails, because it can't free those of the page.
afterAll(() => {
  (globalThis as { gc?: () => void }).gc?.();
});
