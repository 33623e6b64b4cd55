/** Script of a hash worker: hashes the data that the store worker's `HashPool` sends. */

import { kernel } from "../hash/blake3.ts";
import { type HashReply, type HashRequest, HashServer } from "../hash/pool-protocol.ts";

declare const self: DedicatedWorkerGlobalScope;

const server = new HashServer();

self.onmessage = async ({ data }: MessageEvent<HashRequest>) => {
  const reply: HashReply = await server.answer(data);
  self.postMessage(reply, reply.buffer ? [reply.buffer] : []);
};

// Warm up while the store opens: the first calls of a module that is not compiled yet are slow.
kernel.warm();
// Messages that arrive before this line runs are lost, so `spawnHashWorker` holds them back until
// it receives this message.
self.postMessage("ready");
