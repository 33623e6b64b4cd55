/** The script of a hash worker: hashes what the store worker's `HashPool` sends. */

import { kernel } from "../hash/blake3.ts";
import { type HashReply, type HashRequest, HashServer } from "../hash/pool-protocol.ts";

declare const self: DedicatedWorkerGlobalScope;

const server = new HashServer();

self.onmessage = async ({ data }: MessageEvent<HashRequest>) => {
  const reply: HashReply = await server.answer(data);
  self.postMessage(reply, reply.buffer ? [reply.buffer] : []);
};

// While the store opens: the first calls of a module that is not compiled yet are slow.
kernel.warm();
// Messages that came before this line was reached are lost, so the pool holds them back until it hears this.
self.postMessage("ready");
