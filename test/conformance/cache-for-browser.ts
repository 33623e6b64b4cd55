import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, normalize } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    /** Of the sample, as a binary cache that pages may read. Ends in a slash. */
    sampleCacheUrl: string;
  }
}

const FOLDER = join(import.meta.dirname, "../fixtures/sample");

/** Serves the sample before the browser's tests, and no more afterwards. */
export default async function setup(project: TestProject): Promise<() => void> {
  const server = createServer(({ url = "/" }, answer) => {
    const file = createReadStream(join(FOLDER, normalize(`/${new URL(url, "http://localhost").pathname}`)));
    file.once("open", () => {
      answer.writeHead(200, { "access-control-allow-origin": "*" });
      file.pipe(answer);
    });
    file.once("error", () => answer.writeHead(404, { "access-control-allow-origin": "*" }).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  project.provide("sampleCacheUrl", `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return () => void server.close();
}
