import { Code, ConnectError, type ConnectRouter, createRouterTransport } from "@connectrpc/connect";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { isStoreError } from "../../src/error.ts";
import type { RemoteStore } from "../../src/store/services.ts";
import { iterate } from "../../src/stream.ts";

/** Servers that answer differently from ours: as stock daemons do, and as hostile ones could. */

export function remoteOf(routes: (router: ConnectRouter) => void, dialect: "auto" | "tvix" | "snix" = "tvix"): RemoteStore {
  return connectRemoteStore(createRouterTransport(routes), { name: "a peer", dialect });
}

/** Returns the code of the StoreError with which `promise` rejects. */
export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
  } catch (error) {
    if (isStoreError(error)) return error.code;
    throw error;
  }
  return undefined;
}

export async function drain<T>(items: AsyncIterable<T> | ReadableStream<T> | undefined): Promise<T[]> {
  if (!items) throw new Error("it is missing");
  const all: T[] = [];
  for await (const item of items instanceof ReadableStream ? iterate(items) : items) all.push(item);
  return all;
}

export const content: Uint8Array = utf8("content");
export const digest: ReturnType<typeof digestOf> = digestOf(content);

export const notFound = (): never => {
  throw new ConnectError("missing", Code.NotFound);
};
