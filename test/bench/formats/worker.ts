/// <reference path="./unbzip2-stream.d.ts" />
/** The dedicated worker in a page. */

import unbzip2Stream from "unbzip2-stream/dist/unbzip2-stream.min.js";
import { provideBrotli } from "../../../src/compression/brotli.ts";
import type { Message, Options } from "../bench.ts";
import { BROTLI_MODULE, runCases } from "./cases.ts";
import { decodersWith, unbzip2 } from "./decoders.ts";

declare const self: DedicatedWorkerGlobalScope;

async function read(name: string): Promise<Uint8Array> {
  const response = await fetch(`/${name}`);
  if (!response.ok) throw new Error(`the page's server has no ${name}`);
  return new Uint8Array(await response.arrayBuffer());
}

provideBrotli(async () => {
  const library = await import("brotli-dec-wasm/web");
  await library.default({ module_or_path: await WebAssembly.compile((await read(BROTLI_MODULE)) as Uint8Array<ArrayBuffer>) });
  return library;
});

const options = JSON.parse(new URLSearchParams(self.location.search).get("options") ?? "{}") as Options;
await runCases(options, (message: Message): void => self.postMessage(message), {
  read,
  decoders: decodersWith({ bzip2: [unbzip2(unbzip2Stream)] }),
});
